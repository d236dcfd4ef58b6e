'use strict'

// HTTP server over SPDY/3.1, with the unmodified npm package spdy 4.0.2.
//
//   SPDY_INTEROP_NODE_DIR=<folder with node_modules> node node_server.js [CERTIFICATE.pem KEY.pem]
//
// Without TLS it takes every connection as SPDY/3.1; with a certificate, those that agree on it by ALPN.
// Prints `LISTENING <port>` on stdout and serves until stdin ends or it is killed.
// Errors go to stderr.
//
//   GET  /hello           "hello world" (also HEAD), with content-length
//   POST /echo            the request's body, streamed back, with its content-length if it had one
//   GET  /bytes/N         N bytes of the pattern, with content-length; ?nolength leaves it out
//   GET  /slow/N          N bytes of the pattern in 20 pieces, 25 ms apart, no content-length
//   GET  /reset           200, "partial", then RST_STREAM(INTERNAL_ERROR)
//   GET  /hang            200, "started", and no end
//   GET  /goaway          "going away", then GOAWAY; open streams are finished, then the connection is closed
//   GET  /headers         the request's method, path and headers as JSON
//   GET  /cookies         two Set-Cookie values (NUL-joined on the wire)
//   GET  /trailers        "body", then a HEADERS frame with `x-trailer: done`, then FIN
//   GET  /status/N        an empty answer with that status
//   GET  /ping            sends PING, answers "pong" once it came back
//   GET  /push            pushes /pushed, answers "pusher"
//   GET  /events          what the server noticed so far, as JSON: [{ event, path, .. }]
//   else                  404 "not found"
//
// Quirks of this peer, all seen with node 20:
// - `:status` is "200 OK". SYN_REPLY never has FIN; a body, also none at all, ends with an
//   empty DATA with FIN, which waits for connection window like any other DATA.
// - FIN on a HEADERS frame is neither sent nor understood: its trailers come before the
//   empty FIN DATA, and a request ended by HEADERS with FIN never ends for it.
// - A pushed SYN_STREAM lacks FLAG_UNIDIRECTIONAL and carries :status, :method, :version.
// - GOAWAY's last-good id is the highest id of both sides. After GOAWAY it closes the
//   socket when its last stream has ended.
// - A frame for a stream that it has forgotten, a WINDOW_UPDATE too, is answered with
//   RST_STREAM(INVALID_STREAM), which may overtake or replace its own FIN, never DATA.
// - A received RST_STREAM is answered with RST_STREAM(CANCEL).

const fs = require('fs')
const http = require('http')
const { load, pattern, writePattern } = require('./node_common')
const { spdy } = load()

const MAX_EVENTS = 1000
const events = []

function note (event, fields) {
  if (events.length < MAX_EVENTS) events.push({ event, ...fields })
}

function report (where, err) {
  console.error(`node_server: ${where}: ${(err && err.stack) || err}`)
}

function text (res, status, body) {
  const bytes = Buffer.from(body)
  res.writeHead(status, { 'content-type': 'text/plain', 'content-length': bytes.length })
  res.end(bytes)
}

function json (res, value) {
  const bytes = Buffer.from(JSON.stringify(value))
  res.writeHead(200, { 'content-type': 'application/json', 'content-length': bytes.length })
  res.end(bytes)
}

function streamSlowly (res, length) {
  const size = Math.ceil(length / 20) || 1
  let sent = 0
  const more = () => {
    if (sent >= length) return res.end()
    for (const end = Math.min(length, sent + size); sent < end;) {
      const piece = pattern(sent, end - sent)
      res.write(piece)
      sent += piece.length
    }
    setTimeout(more, 25)
  }
  more()
}

function handle (req, res) {
  const url = new URL(req.url, 'http://interop')
  const [, route, arg] = url.pathname.split('/')
  const stream = res.spdyStream

  // node calls every request "aborted" whose response ends after its last byte: no news.
  req.on('error', () => {})
  res.on('error', () => {})
  // "Got RST: CODE" for a received RST_STREAM but CANCEL, for which an abort is the only sign.
  stream.on('error', (err) => note('stream-error', { path: req.url, message: err.message }))
  stream.on('close', (err) => {
    if (err) note('aborted', { path: req.url })
  })

  switch (`${req.method} /${route}`) {
    case 'GET /hello':
      return text(res, 200, 'hello world')
    case 'HEAD /hello':
      res.writeHead(200, { 'content-type': 'text/plain', 'content-length': 11 })
      return res.end()
    case 'POST /echo': {
      const headers = { 'content-type': 'application/octet-stream' }
      if (req.headers['content-length']) headers['content-length'] = req.headers['content-length']
      res.writeHead(200, headers)
      return req.pipe(res)
    }
    case 'GET /bytes': {
      const headers = { 'content-type': 'application/octet-stream' }
      if (!url.searchParams.has('nolength')) headers['content-length'] = Number(arg)
      res.writeHead(200, headers)
      return writePattern(res, Number(arg))
    }
    case 'GET /slow':
      res.writeHead(200, { 'content-type': 'application/octet-stream' })
      return streamSlowly(res, Number(arg))
    case 'GET /reset':
      res.writeHead(200, { 'content-type': 'text/plain' })
      // abort() sends RST_STREAM at once, so it has to wait until the DATA was written.
      return res.write('partial', () => stream.abort('INTERNAL_ERROR'))
    case 'GET /hang':
      res.writeHead(200, { 'content-type': 'text/plain' })
      return res.write('started')
    case 'GET /goaway':
      stream.once('finish', () => stream.connection.end())
      return text(res, 200, 'going away')
    case 'GET /headers':
      return json(res, { method: req.method, path: req.url, headers: req.headers })
    case 'GET /cookies':
      res.writeHead(200, { 'set-cookie': ['a=1; Path=/', 'b=2; HttpOnly'], 'content-length': 2 })
      return res.end('ok')
    case 'GET /trailers':
      res.writeHead(200, { 'content-type': 'text/plain' })
      return res.write('body', () => {
        stream.sendHeaders({ 'x-trailer': 'done' }, () => res.end())
      })
    case 'GET /status':
      res.writeHead(Number(arg), {})
      return res.end()
    case 'GET /ping':
      return stream.connection.ping(() => text(res, 200, 'pong'))
    case 'GET /push': {
      const push = res.push('/pushed', { request: { accept: '*/*' }, response: { 'content-type': 'text/plain' } })
      push.on('error', (err) => note('push-error', { path: req.url, message: err.message }))
      push.on('close', (err) => note('push-closed', { path: req.url, message: err ? err.message : '' }))
      push.end('pushed')
      return text(res, 200, 'pusher')
    }
    case 'GET /events':
      return json(res, events)
    default:
      return text(res, 404, 'not found')
  }
}

// With `protocol` set and `plain` off, the package takes every connection as SPDY/3.1 from
// the first byte. In sniffing mode (`plain: true`) it would believe in SPDY/3 and never
// send a WINDOW_UPDATE for the connection.
const [certificate, key] = process.argv.slice(2)
const create = certificate
  ? (handler) => spdy.createServer({
      cert: fs.readFileSync(certificate), key: fs.readFileSync(key), spdy: { protocols: ['spdy/3.1'] }
    }, handler)
  : (handler) => spdy.createServer(http.Server, { spdy: { plain: false, ssl: false, protocol: 'spdy/3.1' } }, handler)
const server = create((req, res) => {
  if (!res.spdyStream) {
    report('request', new Error('not a SPDY request'))
    return res.destroy()
  }
  try {
    handle(req, res)
  } catch (err) {
    report(`${req.method} ${req.url}`, err)
    res.spdyStream.abort('INTERNAL_ERROR')
  }
})
server.on('clientError', () => {})
server.on('error', (err) => { report('server', err); process.exit(1) })
process.on('uncaughtException', (err) => { report('uncaught', err); process.exit(1) })

// A test that dies leaves no server behind: its end of our stdin closes with it.
process.stdin.on('end', () => process.exit(0)).on('error', () => process.exit(0)).resume()

server.listen(0, '127.0.0.1', () => console.log(`LISTENING ${server.address().port}`))
