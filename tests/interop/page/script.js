'use strict'

// Uses what a page uses of a server, and writes what came of it into the page: as text for people, as JSON into #report
// for the test.

const OTHERS = 24
const DOWNLOAD = 1 << 20
const UPLOAD = 300000

// The pattern of pattern.rs.
const patternAt = (i) => (i * 31 + (i >> 8)) & 0xff

function firstWrong (bytes) {
  return bytes.findIndex((byte, i) => byte !== patternAt(i))
}

async function fetched (path, options) {
  const response = await fetch(path, options)
  if (response.status !== 200) throw new Error(`${path}: ${response.status}`)
  return response
}

async function bytesOf (response) {
  return new Uint8Array(await response.arrayBuffer())
}

async function work (report) {
  const info = await (await fetched('/api/info')).json()
  report.info = info
  document.getElementById('version').textContent = `The server saw ${info.version}.`

  const image = document.getElementById('image')
  // Not `decode()`, which works beside the page: the browser's virtual time does not wait for it, and runs out.
  await new Promise((resolve, reject) => {
    if (image.complete) return resolve()
    image.onload = resolve
    image.onerror = () => reject(new Error('the image cannot be shown'))
  })
  report.image = [image.naturalWidth, image.naturalHeight]
  const canvas = document.createElement('canvas')
  canvas.width = image.naturalWidth
  canvas.height = image.naturalHeight
  const context = canvas.getContext('2d')
  context.drawImage(image, 0, 0)
  report.lastPixel = [...context.getImageData(image.naturalWidth - 1, image.naturalHeight - 1, 1, 1).data]

  report.barColor = getComputedStyle(document.getElementById('bar')).backgroundColor

  const ids = Array.from({ length: OTHERS }, (_, i) => i)
  const others = await Promise.all(ids.map(async (id) => (await fetched(`/other/${id}`)).text()))
  for (const text of others) {
    document.getElementById('others').appendChild(document.createElement('li')).textContent = text
  }

  const download = await bytesOf(await fetched(`/bytes/${DOWNLOAD}`))
  report.download = { length: download.length, wrongAt: firstWrong(download) }

  const body = Uint8Array.from({ length: UPLOAD }, (_, i) => patternAt(i))
  const echo = await bytesOf(await fetched('/echo', { method: 'POST', body }))
  report.echo = { length: echo.length, wrongAt: firstWrong(echo) }

  // What the browser says that each of them came over.
  const entries = performance.getEntriesByType('navigation').concat(performance.getEntriesByType('resource'))
  const ours = entries.filter((entry) => entry.name.startsWith(location.origin))
  report.protocols = [...new Set(ours.map((entry) => entry.nextHopProtocol))]
  report.fetched = ours.length
}

const report = {}
work(report)
  .catch((error) => { report.error = String(error.stack || error) })
  .then(() => { document.getElementById('report').textContent = JSON.stringify(report, null, 1) })
