'use strict'

// HTTP client over SPDY/3.1, with the npm package spdy 4.0.2.
//
//   SPDY_INTEROP_NODE_DIR=<folder with node_modules> node node_client.js PORT SCENARIO [AUTHORITY.pem]
//
// Talks to 127.0.0.1:PORT, to a server with the routes of node_server.js, on ONE connection. With a certificate to
// trust it does TLS, and SPDY has to be agreed on by ALPN.
// Exit 0 and one JSON line { scenario, ok: true, .. } on stdout, or exit 1 and a line
// { scenario, ok: false, error }, with the details on stderr. Exit 2: wrong usage. Each
// scenario ends within LIMIT_MS, come what may.
//
// It drives the package's transport (spdy-transport) instead of its http.Agent: under that
// agent node 20's own HTTP client destroys sockets at will (it reports ECONNRESET after a
// normal 304, or a normal end after a reset), which says nothing about the server. Frames,
// header blocks, windows and stream states are the same code either way. The one scenario with
// the agent, `agent`, is of TLS alone, and stays where node is content.
//
// Quirks of this peer, all seen with node 20:
// - A GET is SYN_STREAM with FIN; anything else ends with an empty DATA with FIN.
// - It ignores MAX_CONCURRENT_STREAMS: the streams of `many` are all open at once.
// - It answers a received RST_STREAM with its own RST_STREAM(CANCEL).
// - DATA, SYN_REPLY or WINDOW_UPDATE for a stream that it has forgotten is answered with
//   RST_STREAM(INVALID_STREAM), which overtakes what it still has queued for that stream, its
//   FIN above all. Frames for a stream that it has cancelled are ignored. `echo1m` meets this
//   with a server that is this package too, and counts it as `rst_for_fin`: to be 0 with
//   any other server.
// - It credits a stream when it reads, the connection as DATA arrives, at half the window.
// - On GOAWAY it fails streams above the last-good id, takes no new ones, and closes the
//   socket when its last stream has ended.

const fs = require('fs')
const https = require('https')
const net = require('net')
const tls = require('tls')
const { load, writePattern, PatternCheck } = require('./node_common')
const { spdy, transport } = load()

const LIMIT_MS = 30000
const MIB = 1 << 20

const [portArg, scenario, authority] = process.argv.slice(2)
const ca = authority && fs.readFileSync(authority)
const port = Number(portArg)
let connection

function assertEqual (actual, expected, what) {
  const [a, e] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (a !== e) throw new Error(`${what}: got ${a}, expected ${e}`)
}

// A request whose response head has arrived. Without `write` the request has no body.
// `failure` rejects when the stream fails, before the head or after it.
async function start (method, path, headers, write) {
  const stream = connection.request({ method, path, host: '127.0.0.1', headers: headers || {} })
  const trailers = {}
  stream.on('headers', (more) => Object.assign(trailers, more))
  const failure = new Promise((resolve, reject) => {
    stream.on('error', reject)
    // The transport emits a normal `close` from inside `end`, before our own listeners run.
    stream.on('close', (err) => setImmediate(reject, err || new Error(`${method} ${path}: closed too early`)))
  })
  failure.catch(() => {})
  const head = new Promise((resolve) => {
    stream.once('response', (status, received) => resolve({ stream, status, headers: received, trailers, failure }))
  })
  if (write) write(stream)
  else if (method !== 'GET') stream.end()
  return Promise.race([head, failure])
}

function read ({ stream, failure }, onChunk) {
  stream.on('data', onChunk)
  return Promise.race([new Promise((resolve) => stream.on('end', resolve)), failure])
}

async function fetchText (method, path, headers) {
  const got = await start(method, path, headers)
  const chunks = []
  await read(got, (chunk) => chunks.push(chunk))
  return { status: got.status, headers: got.headers, trailers: got.trailers, body: Buffer.concat(chunks).toString() }
}

async function fetchPattern (path, length) {
  const got = await start('GET', path)
  assertEqual(got.status, 200, `status of ${path}`)
  const check = new PatternCheck()
  await read(got, (chunk) => check.push(chunk))
  check.assert(length)
}

async function hello () {
  const got = await fetchText('GET', '/hello')
  assertEqual([got.status, got.body], [200, 'hello world'], 'GET /hello')
  return got
}

async function echo (length, headers) {
  const got = await start('POST', '/echo', headers, (out) => writePattern(out, length))
  assertEqual(got.status, 200, 'status of /echo')
  const check = new PatternCheck()
  try {
    await read(got, (chunk) => check.push(chunk))
  } catch (err) {
    // A server that is this same package resets a finished stream when our last credit
    // meets it, instead of FIN (see below); the bytes were all sent before.
    if (err.message !== 'Got RST: INVALID_STREAM') throw err
    await sleep(50)
    rstForFin++
  }
  check.assert(length)
}

let rstForFin = 0
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const scenarios = {
  async get () {
    const { headers } = await hello()
    const missing = await fetchText('GET', '/no-such-path')
    assertEqual(missing.status, 404, 'status of an unknown path')
    return { headers }
  },

  async head () {
    const got = await fetchText('HEAD', '/hello')
    assertEqual([got.status, got.body], [200, ''], 'HEAD /hello')
    assertEqual(got.headers['content-length'], '11', 'content-length of HEAD /hello')
    await hello()
    return { headers: got.headers }
  },

  async status () {
    for (const status of [204, 304, 500]) {
      const got = await fetchText('GET', `/status/${status}`)
      assertEqual([got.status, got.body], [status, ''], `GET /status/${status}`)
    }
    return {}
  },

  async echo1m () {
    await echo(0, {})
    await echo(MIB, {})
    await echo(MIB, { 'content-length': String(MIB) })
    return { bytes: 2 * MIB, rst_for_fin: rstForFin }
  },

  async many () {
    const lengths = Array.from({ length: 200 }, (_, i) => 1000 + 37 * i)
    await Promise.all(lengths.map((n) => fetchPattern(`/bytes/${n}`, n)))
    return { requests: lengths.length }
  },

  async slow () {
    const length = 10 * MIB
    const got = await start('GET', `/bytes/${length}`)
    const check = new PatternCheck()
    let pauses = 0
    let next = MIB
    await read(got, (chunk) => {
      check.push(chunk)
      if (check.length < next) return
      next += MIB
      pauses++
      got.stream.pause()
      setTimeout(() => got.stream.resume(), 50)
    })
    check.assert(length)
    if (pauses < 5) throw new Error(`paused only ${pauses} times`)
    return { bytes: length, pauses }
  },

  async cancel () {
    const { stream } = await start('GET', `/bytes/${100 * MIB}`)
    const check = new PatternCheck()
    await new Promise((resolve, reject) => {
      stream.on('data', (chunk) => { check.push(chunk); if (check.length >= 65536) resolve() })
      stream.on('end', () => reject(new Error('100 MiB ended before the cancel')))
    })
    check.assert(check.length)
    const received = check.length
    stream.abort()
    await sleep(50)
    await hello()
    // What the cancelled stream held of the connection window must come back: more than a
    // whole window has to pass.
    await fetchPattern(`/bytes/${4 * MIB}`, 4 * MIB)
    return { bytes_before_cancel: received }
  },

  async reset () {
    let seen
    try {
      seen = await fetchText('GET', '/reset')
    } catch (err) {
      await hello()
      return { error: err.message }
    }
    throw new Error(`/reset ended normally: ${JSON.stringify(seen)}`)
  },

  async goaway () {
    const length = 100000
    const open = [1, 2, 3, 4, 5].map(() => fetchPattern(`/slow/${length}`, length))
    // The five are on the wire before this one: ids rise.
    const last = await fetchText('GET', '/goaway')
    assertEqual([last.status, last.body], [200, 'going away'], 'GET /goaway')
    await Promise.all(open)
    await closed
    if (!goaways.length) throw new Error('the connection ended without GOAWAY')
    return { finished: open.length, goaways }
  },

  async cookies () {
    const got = await fetchText('GET', '/cookies')
    assertEqual(got.headers['set-cookie'], ['a=1; Path=/', 'b=2; HttpOnly'], 'set-cookie')
    return { headers: got.headers }
  },

  async headers () {
    const sent = {
      'x-plain': 'value',
      'x-empty': '',
      'x-long': 'v'.repeat(4000),
      cookie: 'a=1; b=2',
      'user-agent': 'interop'
    }
    const got = await fetchText('GET', '/headers?query=1%202', sent)
    const seen = JSON.parse(got.body)
    assertEqual([seen.method, seen.path], ['GET', '/headers?query=1%202'], 'request line')
    for (const name of Object.keys(sent)) assertEqual(seen.headers[name], sent[name], name)
    return { headers: seen.headers }
  },

  async trailers () {
    const got = await fetchText('GET', '/trailers')
    assertEqual(got.body, 'body', 'body of /trailers')
    assertEqual(got.trailers['x-trailer'], 'done', 'trailer')
    return { trailers: got.trailers }
  },

  async ping () {
    await hello()
    const begin = process.hrtime.bigint()
    await new Promise((resolve) => connection.ping(resolve))
    const micros = Number((process.hrtime.bigint() - begin) / 1000n)
    await hello()
    return { rtt_us: micros }
  }
}

// node's own client over the package's agent, which makes the connection and negotiates by itself.
async function byAgent () {
  const agent = spdy.createAgent({ host: '127.0.0.1', port, ca, servername: 'localhost', spdy: { protocols: ['spdy/3.1'] } })
  const version = new Promise((resolve) => agent.once('_connect', () => resolve(agent._spdyState.connection.getVersion())))
  const exchange = (method, path, body) => new Promise((resolve, reject) => {
    const req = https.request({ agent, method, host: 'localhost', path, headers: body ? { 'content-length': body.length } : {} }, (res) => {
      const chunks = []
      res.on('data', (chunk) => chunks.push(chunk))
      res.on('end', () => resolve({ status: res.statusCode, body: Buffer.concat(chunks) }))
      res.on('error', reject)
    })
    req.on('error', reject)
    req.end(body)
  })
  const hello = await exchange('GET', '/hello')
  assertEqual([hello.status, hello.body.toString()], [200, 'hello world'], 'GET /hello')
  assertEqual(await version, 3.1, 'version of the agent')
  const check = new PatternCheck()
  check.push((await exchange('GET', `/bytes/${MIB}`)).body)
  check.assert(MIB)
  const sent = Buffer.from('to be sent back')
  assertEqual((await exchange('POST', '/echo', sent)).body.toString(), sent.toString(), 'POST /echo')
  await new Promise((resolve) => agent.close(resolve))
  return { bytes: MIB }
}

const goaways = []
let onClosed
const closed = new Promise((resolve) => { onClosed = resolve })
let finished = false

async function main () {
  const agent = scenario === 'agent' && ca
  if (!Number.isInteger(port) || port <= 0 || !(agent || Object.hasOwn(scenarios, scenario || ''))) {
    console.error(`usage: node node_client.js PORT ${Object.keys(scenarios).join('|')}|agent [AUTHORITY.pem]`)
    process.exit(2)
  }
  setTimeout(() => finish(new Error(`not done after ${LIMIT_MS} ms`)), LIMIT_MS)
  if (agent) return finish(null, await byAgent())
  const socket = ca
    ? tls.connect({ host: '127.0.0.1', port, ca, servername: 'localhost', ALPNProtocols: ['spdy/3.1'] })
    : net.connect({ host: '127.0.0.1', port })
  socket.setNoDelay(true)
  await new Promise((resolve, reject) => {
    socket.once(ca ? 'secureConnect' : 'connect', resolve)
    socket.once('error', reject)
  })
  if (ca) assertEqual(socket.alpnProtocol, 'spdy/3.1', 'ALPN')
  // Pushes are of no use here; without this the transport would take them.
  connection = transport.connection.create(socket, { protocol: 'spdy', isServer: false, acceptPush: false })
  connection.start(3.1)
  const broken = new Promise((resolve, reject) => {
    connection.on('error', (err) => reject(new Error(`connection: ${err.message}`)))
  })
  connection.on('frame', (frame) => {
    if (frame.type === 'GOAWAY') goaways.push({ last_good: frame.lastId, status: frame.code })
  })
  connection.on('close', () => onClosed())
  finish(null, await Promise.race([scenarios[scenario](), broken]))
}

function finish (err, result) {
  if (finished) return
  finished = true
  if (err) console.error(`node_client: ${scenario}: ${err.stack}`)
  const line = err ? { scenario, ok: false, error: err.message } : { scenario, ok: true, ...result }
  process.stdout.write(JSON.stringify(line) + '\n', () => {
    if (err || goaways.length || !connection) process.exit(err ? 1 : 0)
    // As a polite client does: GOAWAY, then close.
    connection.once('close', () => process.exit(0))
    connection.end()
    setTimeout(() => process.exit(0), 500)
  })
}

process.on('uncaughtException', (err) => finish(err))
main().catch((err) => finish(err))
