// The arithmetic of orandnet_core/fusion.py, bit for bit. No page, no pixels on screen.
//
// Maps arrive as 16-bit levels (Uint16Array of H x W a class); a level q is the score q / 65535.
// Every operation is rounded to float32, by Math.fround or by storing into a Float32Array: for
// + - * / and the square root, double precision rounded once *is* float32 arithmetic. Powers are
// taken in double precision and rounded once, here as there.

const LEVELS = 65536
const PLAIN = {
  offset_cnn: 0, offset_vit: 0, gamma_cnn: 1, gamma_vit: 1, weight_cnn: 1, weight_vit: 1, clip: true,
}
const f32 = Math.fround

// (levels of a, levels of b, score by level of a, of b, into): one loop a rule, so that each stays fast.
const COMBINE = {
  cnn(p, q, a, b, out) {
    for (let i = 0; i < out.length; i++) out[i] = a[p[i]]
  },
  vit(p, q, a, b, out) {
    for (let i = 0; i < out.length; i++) out[i] = b[q[i]]
  },
  mean(p, q, a, b, out) {
    for (let i = 0; i < out.length; i++) out[i] = f32(a[p[i]] + b[q[i]]) * 0.5
  },
  or(p, q, a, b, out) {
    for (let i = 0; i < out.length; i++) {
      const x = a[p[i]], y = b[q[i]]
      out[i] = f32(x + y) - f32(x * y)
    }
  },
  and(p, q, a, b, out) {
    for (let i = 0; i < out.length; i++) out[i] = a[p[i]] * b[q[i]]
  },
  max(p, q, a, b, out) {
    for (let i = 0; i < out.length; i++) {
      const x = a[p[i]], y = b[q[i]]
      out[i] = x > y ? x : y
    }
  },
  min(p, q, a, b, out) {
    for (let i = 0; i < out.length; i++) {
      const x = a[p[i]], y = b[q[i]]
      out[i] = x < y ? x : y
    }
  },
  geometric_mean(p, q, a, b, out) {
    for (let i = 0; i < out.length; i++) out[i] = Math.sqrt(f32(a[p[i]] * b[q[i]]))
  },
  xor(p, q, a, b, out) {
    for (let i = 0; i < out.length; i++) {
      const x = a[p[i]], y = b[q[i]]
      out[i] = f32(x * f32(1 - y)) + f32(y * f32(1 - x))
    }
  },
  noisy_or(p, q, a, b, out) {
    COMBINE.or(p, q, a, b, out)
  },
}
const UNNORMALISED = new Set(["cnn", "vit", "xor"])

// What a network's knobs make of every level: a table of 65536 scores.
function knobTable(gamma, weight, offset, clip, witnesses) {
  const table = new Float32Array(LEVELS)
  const factor = f32(weight), shift = f32(offset)
  const clipped = clip && ((!witnesses && weight > 1) || offset !== 0)
  for (let level = 0; level < LEVELS; level++) {
    let x = f32(level / (LEVELS - 1))
    if (gamma !== 1) x = f32(Math.pow(x, gamma))
    if (!witnesses && weight !== 1) x = f32(x * factor)
    if (offset !== 0) x = f32(x + shift)
    if (clipped) x = x < 0 ? 0 : x > 1 ? 1 : x
    if (witnesses && weight !== 1) x = f32(1 - f32(Math.pow(f32(1 - x), weight)))
    table[level] = x
  }
  return table
}

const knobTables = new Map() // the last few, by their knobs

function knobTableOnce(gamma, weight, offset, clip, witnesses) {
  const name = [gamma, weight, offset, clip, witnesses].join()
  let table = knobTables.get(name)
  if (!table) {
    table = knobTable(gamma, weight, offset, clip, witnesses)
    if (knobTables.size >= 8) knobTables.delete(knobTables.keys().next().value)
    knobTables.set(name, table)
  }
  return table
}

// The score tables of both networks under a fusion {rule, offset_cnn, ..., clip}.
function scoreTables(fusion) {
  const witnesses = fusion.rule === "noisy_or"
  return ["cnn", "vit"].map(network =>
    knobTableOnce(
      fusion[`gamma_${network}`], fusion[`weight_${network}`], fusion[`offset_${network}`], fusion.clip, witnesses,
    ),
  )
}

// One class's fused map into `out` (Float32Array); returns what it is divided by: its maximum, or 1.
function fuseClass(cnnLevels, vitLevels, tables, rule, out) {
  COMBINE[rule](cnnLevels, vitLevels, tables[0], tables[1], out)
  if (UNNORMALISED.has(rule)) return 1
  const peak = largest(out)
  if (peak > 0 && peak !== 1) for (let i = 0; i < out.length; i++) out[i] = out[i] / peak
  return peak > 0 ? peak : 1
}

function largest(map) {
  let peak = 0
  for (let i = 0; i < map.length; i++) if (map[i] > peak) peak = map[i]
  return peak
}

// Keep a class's map where it is higher than all before it; of equal maps the first one stays.
function keepBest(map, k, best, index) {
  if (k === 0) {
    best.set(map)
    index.fill(0)
    return
  }
  for (let i = 0; i < map.length; i++) {
    if (map[i] > best[i]) {
      best[i] = map[i]
      index[i] = k
    }
  }
}

// The best fused map and its class at every pixel, as pseudo_mask.best_map of fusion.fuse.
// `cnn` and `vit` are lists of K Uint16Arrays; `into` reuses {best, index, scratch, peaks}.
function bestFused(cnn, vit, fusion, pixels, into) {
  const found = into ?? emptyBest(pixels)
  const tables = scoreTables(fusion)
  found.peaks = cnn.map((levels, k) => {
    const peak = fuseClass(levels, vit[k], tables, fusion.rule, found.scratch)
    keepBest(found.scratch, k, found.best, found.index)
    return peak
  })
  if (!cnn.length) found.best.fill(0)
  return found
}

function emptyBest(pixels) {
  return {
    best: new Float32Array(pixels), index: new Uint8Array(pixels), scratch: new Float32Array(pixels), peaks: [],
  }
}

// Every class's score at one pixel, normalised by the maxima that `bestFused` found.
function scoresAt(cnn, vit, fusion, peaks, pixel) {
  const tables = scoreTables(fusion), out = new Float32Array(1)
  return cnn.map((levels, k) => {
    COMBINE[fusion.rule](
      levels.subarray(pixel, pixel + 1), vit[k].subarray(pixel, pixel + 1), tables[0], tables[1], out,
    )
    return f32(out[0] / peaks[k])
  })
}
