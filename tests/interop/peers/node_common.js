'use strict'

// What node_server.js and node_client.js share: the npm package, with two repairs, and the
// deterministic bytes that both sides know.

const path = require('path')

// spdy 4.0.2 and its transport, from the folder SPDY_INTEROP_NODE_DIR, which holds node_modules.
function load () {
  const dir = process.env.SPDY_INTEROP_NODE_DIR
  if (!dir) {
    throw new Error('SPDY_INTEROP_NODE_DIR is not set: it names the folder in which `npm install spdy@4.0.2` was run')
  }
  // spdy 4.0.2 uses parts of node that warn on every start.
  process.noDeprecation = true
  const entry = require.resolve('spdy', { paths: [path.resolve(dir)] })
  const from = (name) => require(require.resolve(name, { paths: [entry] }))
  const transport = from('spdy-transport')
  mendWrites(from('handle-thing'))
  mendDrain(transport.Connection)
  return { spdy: require(entry), transport }
}

// The server half of spdy 4.0.2 puts a pretended socket handle (package handle-thing) under
// node's own net.Socket. Since node 12 that socket takes a write as done at once, unless the
// handle says that it is asynchronous, in a place that a handle written in JavaScript cannot
// reach. The handle then reports the same write a second time, and node destroys the socket
// (ERR_MULTIPLE_CALLBACK). And a list of buffers is read as pairs of chunk and encoding, so
// that every other buffer is lost. Both are mended here, outside the package. Nothing that
// deals with SPDY is touched: frames, windows and streams are the package's own.
function mendWrites (Handle) {
  const writeEnc = Handle.prototype.writeEnc
  Handle.prototype.writeEnc = function (req, data, enc) {
    Object.defineProperty(req, 'async', { get: () => true, set: () => {} })
    return writeEnc.call(this, req, data, enc)
  }
  Handle.prototype.writev = function (req, chunks, allBuffers) {
    const buffers = []
    const step = allBuffers ? 1 : 2
    for (let i = 0; i < chunks.length; i += step) {
      buffers.push(allBuffers ? chunks[i] : Buffer.from(chunks[i], chunks[i + 1]))
    }
    return this.writeEnc(req, Buffer.concat(buffers), null)
  }
}

// After a GOAWAY the transport closes the socket the moment that its last stream has ended, and
// that is one tick before the FIN of this stream reaches its queue: the peer never gets it.
function mendDrain (Connection) {
  const onStreamDrain = Connection.prototype._onStreamDrain
  Connection.prototype._onStreamDrain = function (err) {
    setImmediate(() => onStreamDrain.call(this, err))
  }
}

// Byte i is (i * 31 + (i >> 8)) & 0xff. The pattern has a period of 64 KiB.
const PERIOD = 65536
const PATTERN = Buffer.alloc(2 * PERIOD)
for (let i = 0; i < PATTERN.length; i++) PATTERN[i] = (i * 31 + (i >> 8)) & 0xff

// The pattern from `offset` on, at most 64 KiB of it.
function pattern (offset, length) {
  const start = offset % PERIOD
  return PATTERN.subarray(start, start + Math.min(length, PERIOD))
}

// Writes `length` bytes of the pattern to a stream and ends it, waiting when it has to.
function writePattern (out, length) {
  let sent = 0
  const more = () => {
    while (sent < length) {
      const piece = pattern(sent, length - sent)
      sent += piece.length
      if (!out.write(piece)) return out.once('drain', more)
    }
    out.end()
  }
  more()
}

// Counts bytes and compares them with the pattern as they arrive.
class PatternCheck {
  constructor () {
    this.length = 0
    this.wrongAt = -1
  }

  push (chunk) {
    for (let done = 0; done < chunk.length;) {
      const want = pattern(this.length, chunk.length - done)
      if (this.wrongAt < 0 && !want.equals(chunk.subarray(done, done + want.length))) {
        this.wrongAt = this.length
      }
      done += want.length
      this.length += want.length
    }
  }

  assert (length) {
    if (this.wrongAt >= 0) throw new Error(`body differs from the pattern within 64 KiB after byte ${this.wrongAt}`)
    if (this.length !== length) throw new Error(`body has ${this.length} bytes, expected ${length}`)
  }
}

module.exports = { load, pattern, writePattern, PatternCheck }
