// From the maps of an image and a setting to what every pane shows. Each step is kept under the
// settings that it depends on, so that a slider costs only what it moves. Nothing here draws.
//
// A setting: {rule, t, class (0: all), outlined, trimap, t_cnn, t_vit, t_or, t_and, reference,
// offset_*, gamma_*, weight_*, crf}. What a page has no control for is left out: a source without
// a threshold of its own takes `t`.

const ALWAYS = ["cnn", "vit", "or", "and"]
const REFERENCE = { offset_cnn: 0, offset_vit: 0.15, clip: false }

function createScene(scene, width, height) {
  const pixels = width * height, scratch = new Float32Array(pixels)
  const kept = new Map() // step -> {stamp, value}
  const cams = new Map(scene.sources.filter(source => source.maps).map(source => [source.key, source]))
  const labels = new Map(scene.sources.filter(source => source.labels).map(source => [source.key, source]))
  const ruleLabels = new Map(scene.rules.map(rule => [rule.name, rule]))
  let setting = {}, look = { scores: "inferno", labels: "labels" } // look: names of colour tables

  // The step's value: as it was, or made anew in the same arrays.
  function once(step, stamp, make) {
    const before = kept.get(step)
    if (before?.stamp === stamp) return before.value
    const value = make(before?.value)
    kept.set(step, { stamp, value })
    return value
  }

  const bytes = old => old ?? new Uint8Array(pixels)

  // --- maps ------------------------------------------------------------------------------

  function fusionOf(rule, shaped) {
    const fusion = { ...PLAIN, rule }
    if (!shaped) return fusion
    for (const knob in PLAIN) if (setting[knob] != null) fusion[knob] = setting[knob]
    return setting.reference && (rule === "or" || rule === "and") ? { ...fusion, ...REFERENCE } : fusion
  }

  // What a map is made of: two lists of levels and a fusion. `name` tells equal maps apart from others.
  function recipe(key) {
    const wanted = key === "fused" ? setting.rule : key
    const extra = !COMBINE[wanted] && cams.get(wanted)
    if (extra)
      return { name: wanted, stamp: extra.id, a: extra.maps, b: extra.maps, fusion: fusionOf("cnn", false) }
    const [cnn, vit] = [cams.get("cnn"), cams.get("vit")]
    if (!cnn || !vit || !COMBINE[wanted]) return null
    const fusion = fusionOf(wanted, key === "fused")
    const plain = Object.keys(PLAIN).every(knob => fusion[knob] === PLAIN[knob])
    const name = plain && ALWAYS.includes(wanted) ? wanted : "fused"
    return { name, stamp: JSON.stringify(fusion), a: cnn.maps, b: vit.maps, fusion }
  }

  function bestOf({ name, stamp, a, b, fusion }) {
    return once(`best ${name}`, stamp, old => {
      const into = old ?? { best: new Float32Array(pixels), index: new Uint8Array(pixels), scratch, peaks: [] }
      return bestFused(a, b, fusion, pixels, into)
    })
  }

  // The map of the class that is looked at, or the best of all.
  function shownOf(made) {
    const k = scene.ids.indexOf(setting.class)
    if (k < 0) return bestOf(made).best
    return once(`class ${made.name}`, `${made.stamp} ${k}`, old => {
      const map = old ?? new Float32Array(pixels)
      fuseClass(made.a[k], made.b[k], scoreTables(made.fusion), made.fusion.rule, map)
      return map
    })
  }

  const thresholdOf = key => setting[`t_${key}`] ?? setting.t

  // --- masks: {labels, stamp} ------------------------------------------------------------

  function maskOf(key) {
    if (labels.has(key)) return { labels: labels.get(key).labels, stamp: labels.get(key).id }
    const made = recipe(key), at = thresholdOf(key)
    if (!made) return null
    const stamp = `${made.name} ${made.stamp} ${at}`
    const found = once(`mask ${key}`, stamp, old => {
      const { best, index } = bestOf(made)
      return pseudoMask(best, index, scene.ids, at, bytes(old))
    })
    return { labels: found, stamp }
  }

  // The pseudo-mask of this setting: after the CRF where that was made for just this setting.
  function result() {
    const { cleaned } = scene
    if (cleaned && setting.crf && sameSetting(cleaned.setting, setting))
      return { labels: cleaned.labels, stamp: cleaned.id, cleaned: true }
    if (!setting.trimap) return maskOf(labels.has(setting.rule) ? setting.rule : "fused")
    const [or, and] = [recipe("or"), recipe("and")]
    const stamp = `trimap ${setting.t_or} ${setting.t_and}`
    const found = once("trimap", stamp, old =>
      trimap(bestOf(or), bestOf(and), scene.ids, setting.t_or, setting.t_and, bytes(old)),
    )
    return { labels: found, stamp }
  }

  function aloneOf(step, mask) {
    if (!setting.class) return mask.labels
    const stamp = `${mask.stamp} ${setting.class}`
    return once(`alone ${step}`, stamp, old => alone(mask.labels, setting.class, bytes(old)))
  }

  // --- what a pane shows -----------------------------------------------------------------

  // {kind, title, subtitle, values, stamp, level, table, names, legend, mask}; null where there is nothing.
  function pane(key) {
    if (key === "photo") return { kind: "photo", title: "Photo", subtitle: `${width} × ${height}`, stamp: "" }
    if (key === "mask") return maskPane()
    if (key === "truth") {
      if (!scene.truth) return null
      const values = aloneOf(key, { labels: scene.truth, stamp: scene.truthId })
      return labelPane("Ground truth", "", values, `truth ${scene.truthId} ${setting.class}`)
    }
    if (key === "errors") return errorsPane()
    if (key === "disagreement") return disagreementPane()
    if (labels.has(key)) {
      const { title, subtitle } = labels.get(key), mask = maskOf(key)
      return { ...labelPane(title, subtitle, aloneOf(key, mask), `${mask.stamp} ${setting.class}`), mask }
    }
    if (key.endsWith("-mask")) {
      const source = key.slice(0, -"-mask".length), mask = maskOf(source)
      if (!mask) return null
      const name = cams.get(source)?.short ?? ruleLabels.get(source)?.label ?? source
      const title = `${name} > ${thresholdOf(source).toFixed(2)}`
      return { ...labelPane(title, "", aloneOf(key, mask), `${mask.stamp} ${setting.class}`), mask }
    }
    return mapPane(key)
  }

  function mapPane(key) {
    const made = recipe(key)
    if (!made) return null
    const fused = key === "fused", name = fused ? setting.rule : key
    const rule = ruleLabels.get(name), source = cams.get(name)
    const level = setting.outlined === false ? null : thresholdOf(key)
    return {
      kind: "scores", level, values: shownOf(made), mask: maskOf(key), table: scene.tables[look.scores],
      title: fused ? `${rule?.label ?? source.title} map` : (source?.title ?? rule.label),
      subtitle: (!fused && source?.subtitle) || rule?.formula || "",
      stamp: `${made.name} ${made.stamp} ${setting.class} ${level} ${look.scores}`,
    }
  }

  function labelPane(title, subtitle, values, stamp) {
    stamp += ` ${look.labels}`
    return { kind: "label", title, subtitle, values, stamp, table: scene.tables[look.labels], names: scene.names }
  }

  function maskPane() {
    const mask = result()
    if (!mask) return null
    const { rule } = setting
    const source = ruleLabels.get(rule)?.label ?? (cams.get(rule) ?? labels.get(rule))?.title
    const how = setting.trimap
      ? `OR > ${setting.t_or.toFixed(3)}, AND > ${setting.t_and.toFixed(3)}`
      : labels.has(setting.rule) ? `from ${source}` : `from ${source} at ${setting.t.toFixed(3)}`
    const title = (setting.trimap ? "Trimap" : "Pseudo-mask") + (mask.cleaned ? ", after CRF" : "")
    const shown = labelPane(title, how, aloneOf("mask", mask), `${mask.stamp} ${setting.class}`)
    return { ...shown, mask, names: setting.trimap ? { ...scene.names, 255: "undecided" } : scene.names }
  }

  function errorsPane() {
    const mask = result()
    if (!scene.truth || !mask) return null
    const stamp = `errors ${mask.stamp} ${setting.class}`
    const values = once("errors", stamp, old => errorMap(scene.truth, mask.labels, setting.class, bytes(old)))
    return {
      kind: "label", title: "Errors", subtitle: "of the pseudo-mask", values, stamp, mask,
      table: scene.tables.errors, names: scene.errorNames, explained: scene.errorLegend,
    }
  }

  function disagreementPane() {
    const [cnn, vit] = [maskOf("cnn"), maskOf("vit")]
    if (!cnn || !vit) return null
    const stamp = `found ${cnn.stamp} ${vit.stamp} ${setting.class}`
    const values = once("found", stamp, old =>
      disagreementMap(cnn.labels, vit.labels, scene.truth, setting.class, bytes(old)),
    )
    return {
      kind: "label", title: "Disagreement", subtitle: "CNN and ViT", values, stamp, shared: true,
      table: scene.tables.agreement, names: scene.agreementNames,
    }
  }

  // Which panes this setting has something for, in their usual order.
  function paneKeys() {
    const extra = [...cams.keys()].filter(key => !ALWAYS.includes(key))
    const pair = cams.has("cnn") && cams.has("vit"), fused = recipe("fused")
    const mask = fused || labels.has(setting.rule)
    return [
      "photo", ...(pair ? ALWAYS : []), ...(pair && fused ? ["fused"] : []), ...extra,
      ...(pair ? ["cnn-mask", "vit-mask", "or-mask", "and-mask"] : []), ...extra.map(key => `${key}-mask`),
      ...labels.keys(), ...(mask ? ["mask"] : []), ...(scene.truth ? ["truth"] : []),
      ...(scene.truth && mask ? ["errors"] : []), ...(pair ? ["disagreement"] : []),
    ]
  }

  // The fused map is one of those that are always there, or there is none.
  const fusedIsShown = () => recipe("fused")?.name !== "fused"

  // --- figures ---------------------------------------------------------------------------

  function scores(mask, step, inside = null) {
    const stamp = `${mask.stamp} ${inside?.id ?? ""}`
    const counts = once(`counts ${step}`, stamp, () => countPixels(scene.truth, mask.labels, inside?.inside))
    const decided = once(`decided ${step}`, stamp, () => decidedShare(scene.truth, mask.labels, inside?.inside))
    return { ...scoresOf(counts, setting.class), decided }
  }

  function share(mask, step, inside = null) {
    const claimed = setting.class || 0
    return once(`share ${step}`, `${mask.stamp} ${claimed} ${inside?.id ?? ""}`, () => {
      const shares = labelShares(mask.labels, inside?.inside)
      return claimed ? shares[claimed] : 1 - shares[0]
    })
  }

  // Every map's score of every class at a pixel: [{title, scores: [K]}], label sources as their label.
  function reading(pixel) {
    const fused = fusedIsShown() ? [] : ["fused"]
    const keys = [...new Set([...ALWAYS.filter(key => recipe(key)), ...fused, ...cams.keys()])]
    const rows = keys.map(key => {
      const made = recipe(key)
      return { title: mapPane(key).title, scores: scoresAt(made.a, made.b, made.fusion, bestOf(made).peaks, pixel) }
    })
    const said = [...labels.values()].map(source => ({ title: source.title, label: source.labels[pixel] }))
    const mask = result()
    if (mask) said.push({ title: "Pseudo-mask", label: mask.labels[pixel] })
    if (scene.truth) said.push({ title: "Ground truth", label: scene.truth[pixel] })
    return { rows, said }
  }

  return {
    ids: scene.ids, names: scene.names, pane, paneKeys, fusedIsShown, scores, share, reading, result, maskOf,
    get setting() { return setting },
    set setting(next) { setting = next },
    set look(next) { look = next },
    hasTruth: Boolean(scene.truth),
  }
}

// Equal in all that decides a mask.
function sameSetting(a, b) {
  return Object.keys(a).every(name => a[name] === b[name])
}
