// Masks, trimaps, errors and disagreement of one image, as orandnet_core makes them. Labels are
// bytes: 0 background, class ids, 255 not scored or undecided. All functions write into `out`.

const IGNORED = 255
const ERROR = { trueNegative: 0, truePositive: 1, falsePositive: 2, falseNegative: 3, confused: 4 }
const FOUND = {
  neither: 0, bothRight: 1, onlyCnnRight: 2, onlyVitRight: 3, neitherWrong: 4, bothWrong: 5,
  onlyCnnWrong: 6, onlyVitWrong: 7, both: 8, onlyCnn: 9, onlyVit: 10, bothDifferent: 11,
}

// A pixel is foreground where its best map is *greater* than the threshold, which counts as float32.
function pseudoMask(best, index, classIds, threshold, out) {
  const level = Math.fround(threshold)
  const labels = classIds.length ? Uint8Array.from(classIds) : new Uint8Array(1)
  for (let i = 0; i < out.length; i++) out[i] = best[i] > level ? labels[index[i]] : 0
  return out
}

// Foreground where AND passes, background where OR does not either, undecided in between.
function trimap(or, and, classIds, orThreshold, andThreshold, out) {
  pseudoMask(and.best, and.index, classIds, andThreshold, out)
  const level = Math.fround(orThreshold)
  if (!classIds.length) return out
  for (let i = 0; i < out.length; i++) if (out[i] === 0 && or.best[i] > level) out[i] = IGNORED
  return out
}

// Only the class that is looked at; 0 looks at all. What is ignored stays.
function alone(mask, classId, out) {
  if (!classId) return mask
  for (let i = 0; i < out.length; i++) out[i] = mask[i] === classId || mask[i] === IGNORED ? mask[i] : 0
  return out
}

function errorMap(truth, mask, classId, out) {
  for (let i = 0; i < out.length; i++) {
    const t = truth[i], m = mask[i]
    if (t === IGNORED || m === IGNORED) {
      out[i] = IGNORED
      continue
    }
    const wanted = classId ? t === classId : t !== 0
    const given = classId ? m === classId : m !== 0
    if (given && wanted) out[i] = t === m ? ERROR.truePositive : ERROR.confused
    else out[i] = given ? ERROR.falsePositive : wanted ? ERROR.falseNegative : ERROR.trueNegative
  }
  return out
}

// Who finds what; `truth` may be null, and then nobody is right or wrong.
function disagreementMap(cnnMask, vitMask, truth, classId, out) {
  for (let i = 0; i < out.length; i++) {
    const cnn = classId && cnnMask[i] !== classId ? 0 : cnnMask[i]
    const vit = classId && vitMask[i] !== classId ? 0 : vitMask[i]
    if (!truth) {
      if (cnn && vit) out[i] = cnn === vit ? FOUND.both : FOUND.bothDifferent
      else out[i] = cnn ? FOUND.onlyCnn : vit ? FOUND.onlyVit : FOUND.neither
      continue
    }
    if (truth[i] === IGNORED) {
      out[i] = IGNORED
      continue
    }
    const wanted = classId && truth[i] !== classId ? 0 : truth[i]
    const cnnRight = cnn && cnn === wanted, vitRight = vit && vit === wanted
    if (cnnRight) out[i] = vitRight ? FOUND.bothRight : FOUND.onlyCnnRight
    else if (vitRight) out[i] = FOUND.onlyVitRight
    else if (cnn) out[i] = vit ? FOUND.bothWrong : FOUND.onlyCnnWrong
    else if (vit) out[i] = FOUND.onlyVitWrong
    else out[i] = wanted ? FOUND.neitherWrong : FOUND.neither
  }
  return out
}
