// From scores and labels to colours: 32-bit pixels of a layer, in the photo's size.

const WHITE = 0xffffffff

// Scores (Float32Array) in the colours of 256 steps; a line around what exceeds `level`, if there is one.
function paintScores(scores, table, level, width, out) {
  for (let i = 0; i < scores.length; i++) out[i] = table[(scores[i] * 255 + 0.5) | 0]
  if (level != null) outline(scores, Math.fround(level), width, out)
}

function paintLabels(labels, table, out) {
  for (let i = 0; i < labels.length; i++) out[i] = table[labels[i]]
}

// A line along the inner edge of what exceeds a level, one photo pixel wide.
function outline(scores, level, width, out) {
  const last = scores.length - width
  for (let row = 0; row < scores.length; row += width) {
    for (let i = row; i < row + width; i++) {
      if (scores[i] <= level) continue
      if (
        (i > row && scores[i - 1] <= level) || (i < row + width - 1 && scores[i + 1] <= level) ||
        (row > 0 && scores[i - width] <= level) || (i < last && scores[i + width] <= level)
      ) out[i] = WHITE
    }
  }
}

// A bar of the colours of scores from 0 to 1, opaque.
function paintScale(canvas, table) {
  canvas.width = 256
  canvas.height = 1
  const context = canvas.getContext("2d"), pixels = context.createImageData(256, 1)
  const out = new Uint32Array(pixels.data.buffer)
  for (let value = 0; value < 256; value++) out[value] = table[value] | 0xff000000
  context.putImageData(pixels, 0, 0)
}

function cssColour(pixel) {
  return `rgb(${pixel & 255} ${(pixel >> 8) & 255} ${(pixel >> 16) & 255})`
}
