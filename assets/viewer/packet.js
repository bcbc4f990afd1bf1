// From the packet's bytes to arrays (see pages/components/viewer_packet.py). No page, no pointer.

const DECODED_KEPT = 96
const decoded = new Map() // content hash -> what it decodes to, least recently used first

function unpack(packet) {
  const bytes = new Uint8Array(packet.buffer ?? packet, packet.byteOffset ?? 0, packet.byteLength)
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)))
  const blob = id => {
    const { start, end, ...facts } = header.blobs[id]
    return { id, ...facts, bytes: bytes.slice(4 + length + start, 4 + length + end) }
  }
  return { header, blob }
}

async function decodeOnce(id, decode) {
  let found = decoded.get(id)
  if (!found) found = await decode()
  decoded.delete(id)
  decoded.set(id, found)
  if (decoded.size > DECODED_KEPT) decoded.delete(decoded.keys().next().value)
  return found
}

// Everything that a header names, decoded: the header with arrays in the place of names.
async function unpackAll(packet) {
  const { header, blob } = unpack(packet)
  const { width } = header
  const layer = id => decodeOnce(id, () => inflate(blob(id), width))
  const table = id => new Uint32Array(blob(id).bytes.buffer)
  const photo = await decodeOnce(header.photo, () => createImageBitmap(new Blob([blob(header.photo).bytes])))
  const panes = await Promise.all(
    header.panes.map(async pane => ({
      ...pane, id: pane.layer, values: pane.layer ? valuesOf(pane, await layer(pane.layer)) : null,
      table: pane.colours ? table(pane.colours) : null,
    })),
  )
  const { scene } = header
  if (!scene) return { ...header, photoId: header.photo, photo, panes, scene: null }
  const sources = await Promise.all(
    scene.sources.map(async source => ({
      ...source, id: source.labels ?? source.maps.join(),
      labels: source.labels ? await layer(source.labels) : null,
      maps: source.maps ? await Promise.all(source.maps.map(layer)) : null,
    })),
  )
  const tables = Object.fromEntries(Object.entries(scene.tables).map(([name, id]) => [name, table(id)]))
  const truth = scene.truth ? await layer(scene.truth) : null
  const { cleaned } = scene
  const decodedScene = {
    ...scene, sources, tables, truth, truthId: scene.truth,
    cleaned: cleaned && { ...cleaned, id: cleaned.labels, labels: await layer(cleaned.labels) },
  }
  return { ...header, photoId: header.photo, photo, panes, scene: decodedScene }
}

// A fixed pane's labels as they are, its scores out of 255ths.
function valuesOf({ kind }, bytes) {
  return kind === "scores" ? Float32Array.from(bytes, value => value / 255) : bytes
}

async function inflate(blob, width) {
  const stream = new Blob([blob.bytes]).stream().pipeThrough(new DecompressionStream("deflate"))
  const values = new Uint8Array(await new Response(stream).arrayBuffer())
  if (blob.wide) return levelsOf(values, width)
  if (blob.delta) {
    for (let row = 0; row < values.length; row += width)
      for (let at = row + 1; at < row + width; at++) values[at] += values[at - 1]
  }
  return values
}

// Two byte planes of second differences back to 16-bit levels.
function levelsOf(planes, width) {
  const pixels = planes.length / 2, levels = new Uint16Array(pixels)
  for (let row = 0; row < pixels; row += width) {
    let level = 0, slope = 0
    for (let at = row; at < row + width; at++) {
      const folded = planes[at] | (planes[pixels + at] << 8)
      slope += (folded >>> 1) ^ -(folded & 1)
      level += slope
      levels[at] = level
    }
  }
  return levels
}
