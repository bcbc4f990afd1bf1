// Precision, recall and IoU of a mask against the ground truth, of an image or of a part of it.
// Fractions; NaN where there is nothing to divide by, as orandnet_core.metrics has it.

// Pixels by label: right, given and wanted. Undecided and ignored pixels, and those outside
// `inside` (a byte a pixel; null: all are inside), are left out.
function countPixels(truth, mask, inside = null) {
  const counts = { right: new Uint32Array(256), given: new Uint32Array(256), wanted: new Uint32Array(256) }
  const { right, given, wanted } = counts
  for (let i = 0; i < truth.length; i++) {
    const t = truth[i], m = mask[i]
    if (t === 255 || m === 255 || (inside && !inside[i])) continue
    wanted[t]++
    given[m]++
    if (t === m) right[t]++
  }
  return counts
}

// Of one class, or (classId 0) the mean over the classes that the ground truth shows there.
function scoresOf({ right, given, wanted }, classId = 0) {
  const sums = { precision: 0, recall: 0, iou: 0 }
  let classes = 0
  for (let k = classId || 0; k < (classId ? classId + 1 : 255); k++) {
    if (!wanted[k]) continue
    classes++
    sums.precision += given[k] ? right[k] / given[k] : 0
    sums.recall += right[k] / wanted[k]
    sums.iou += right[k] / (wanted[k] + given[k] - right[k])
  }
  for (const name in sums) sums[name] = classes ? sums[name] / classes : NaN
  return sums
}

// How much of what is scored a mask decides.
function decidedShare(truth, mask, inside = null) {
  let scored = 0, decided = 0
  for (let i = 0; i < truth.length; i++) {
    if (truth[i] === 255 || (inside && !inside[i])) continue
    scored++
    if (mask[i] !== 255) decided++
  }
  return scored ? decided / scored : NaN
}

// How much of the image a map or mask claims.
function shareAbove(values, level, inside = null) {
  let seen = 0, above = 0
  for (let i = 0; i < values.length; i++) {
    if (inside && !inside[i]) continue
    seen++
    if (values[i] > level) above++
  }
  return seen ? above / seen : NaN
}

// Shares of the labels of a label map, over pixels that are not 255.
function labelShares(labels, inside = null) {
  const counts = new Uint32Array(256)
  let total = 0
  for (let i = 0; i < labels.length; i++) {
    if (labels[i] === 255 || (inside && !inside[i])) continue
    counts[labels[i]]++
    total++
  }
  return Array.from(counts, count => (total ? count / total : NaN))
}

// A byte a pixel: 1 where the pixel's middle lies inside a polygon [[x, y], ...] (even-odd rule).
function polygonMask(points, width, height) {
  const inside = new Uint8Array(width * height)
  for (let y = 0; y < height; y++) {
    const middle = y + 0.5, crossings = []
    for (let n = 0; n < points.length; n++) {
      const [x0, y0] = points[n], [x1, y1] = points[(n + 1) % points.length]
      if (y0 <= middle !== y1 <= middle) crossings.push(x0 + ((middle - y0) / (y1 - y0)) * (x1 - x0))
    }
    crossings.sort((a, b) => a - b)
    for (let n = 0; n + 1 < crossings.length; n += 2) {
      const from = Math.max(0, Math.ceil(crossings[n] - 0.5))
      const to = Math.min(width, Math.ceil(crossings[n + 1] - 0.5))
      if (to > from) inside.fill(1, y * width + from, y * width + to)
    }
  }
  return inside
}
