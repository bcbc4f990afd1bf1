// The viewer: panes of one photo in step, computed and drawn in the browser.
//
// Python sends the photo, the maps and the setting once (pages/components/viewer.py); what a slider
// moves is computed here, a frame at a time. A setting that is let go goes to Python as `setting`
// with a growing `turn`, which comes back with the next packet: an older turn is out of date.

const SEND_AFTER_MS = 120 // keys repeat; a drag ends once
const instances = new WeakMap()

export default function (component) {
  const root = component.parentElement.querySelector(".viewer")
  if (!root) return
  let instance = instances.get(root)
  if (!instance) instances.set(root, (instance = root.viewer = createViewer(root)))
  instance.setTriggerValue = component.setTriggerValue
  instance.receive(component.data)
  return () => instance.close()
}

function createViewer(root) {
  const part = name => root.querySelector(`[data-part="${name}"]`)
  const grid = part("grid"), opacity = part("opacity"), dialog = part("help")
  const view = createViewport(), backdrop = createBackdrop()
  const pair = createPair(draw), divider = createDivider(pair)
  const panes = new Map() // key -> pane; kept while the component lives
  let content = null, scene = null, setting = {}, order = [], look = { scores: "inferno", labels: "labels" }
  let solo = null, probe = null, picked = null
  let frame = 0, latest = 0, turn = 0, sending = 0, stored = "", before = 60

  const viewer = {
    view, pointers: new Map(), tool: "move", pinned: false, setTriggerValue: () => {}, region: createRegion(draw),
    receive, close, draw, setProbe, enlarge, pick, moveProbe, hideOverlay, useTool, escape, compare, corner,
    maskShown: () => scene?.result()?.labels,
    moveOpacity: by => setOpacity(+opacity.value + by),
    zoom: factor => (view.zoomAt(factor, view.x, view.y), draw()),
    fit: () => (view.fit(content.width, content.height), draw()),
    pan: (dx, dy) => (view.panBy(dx, dy), draw()),
    enlargeNumber: number => order[number - 1] && enlarge(order[number - 1]),
    help: () => (dialog.open ? dialog.close() : dialog.showModal()),
    togglePanes: () => menu.toggle(),
    moveThreshold: by => step("t", by), nextClass: by => step("class", by),
  }
  const controls = createControls(part("controls"), { onmove: move, ondone: send })
  const menu = createPanesMenu(part("panes"), { get: paneList, set: choosePanes, wear })

  // --- what Python sends -----------------------------------------------------------------

  async function receive(packet) {
    const mine = ++latest
    let next
    try {
      next = await unpackAll(packet)
    } catch (error) {
      if (mine === latest) grid.textContent = `The pictures could not be read (${error}). Reload the page.`
      return
    }
    if (mine !== latest) return // a newer packet overtook this one
    const samePhoto = content?.photoId === next.photoId
    content = next
    scene = next.scene ? createScene(next.scene, next.width, next.height) : null
    restore()
    wear({})
    if (!samePhoto) newPhoto()
    adopt(next)
    if (scene) scene.setting = setting
    controls.draw(next.controls)
    controls.show(setting)
    menu.redraw()
    layout()
    root.dataset.layout = next.layout
    root.dataset.turn = next.turn
    root.dataset.shown = next.content
  }

  function newPhoto() {
    view.fit(content.width, content.height)
    viewer.region.clear()
    picked = null
    viewer.pinned = false
    probe = null
  }

  // The server's setting counts unless a newer one is on its way to it, or a slider is held.
  function adopt(next) {
    if (next.turn >= turn && !controls.held && !sending) {
      turn = next.turn
      setting = { ...next.setting }
    }
    if (scene && setting.class && !next.scene.ids.includes(setting.class)) setting.class = 0
  }

  function move(name, value) {
    setting = { ...setting, [name]: value }
    controls.show(setting)
    draw()
  }

  function send() {
    clearTimeout(sending)
    sending = setTimeout(() => {
      sending = 0
      turn++
      viewer.setTriggerValue("setting", { ...setting, turn })
    }, SEND_AFTER_MS)
  }

  // --- panes -----------------------------------------------------------------------------

  const fixed = key => content.panes.find(pane => pane.key === key)

  function shownOf(key) {
    const pane = fixed(key)
    if (!pane) return scene?.pane(key) ?? null
    const stamp = [pane.id, pane.contour, pane.colours].join()
    return { ...pane, stamp, level: pane.contour == null ? null : Math.fround(pane.contour / 255), explained: pane.legend }
  }

  function available() {
    return [...(scene?.paneKeys() ?? []), ...content.panes.map(pane => pane.key)]
  }

  function wantedPanes() {
    const all = available()
    const chosen = (setting.panes || "").split(",").filter(key => all.includes(key))
    if (chosen.length) return chosen
    const usual = [...content.usual, ...content.panes.map(pane => pane.key)].filter(key => all.includes(key))
    const already = scene && usual.includes(setting.rule) && scene.fusedIsShown()
    return already ? usual.filter(key => key !== "fused") : usual
  }

  function paneList() {
    const all = available().map(key => [key, shownOf(key)?.title]).filter(([, title]) => title)
    return { all, shown: order, look, palettes: content.scene?.palettes ?? {} }
  }

  function choosePanes(keys) {
    setting = { ...setting, panes: keys ? keys.join() : "" }
    if (solo && keys && !keys.includes(solo)) leaveSolo()
    layout()
    send()
  }

  function paneOf(key) {
    let pane = panes.get(key)
    if (!pane) {
      panes.set(key, (pane = createPane(key)))
      pane.expand.onclick = () => enlarge(key)
      listenToPane(pane, viewer)
    }
    return pane
  }

  function layout() {
    const width = grid.clientWidth
    if (!width || !content) return
    if (scene) scene.setting = setting
    const next = wantedPanes()
    if (next.join() !== order.join() || !grid.children.length) {
      order = next
      grid.replaceChildren(...order.map(key => paneOf(key).figure))
    }
    if (solo && !order.includes(solo)) leaveSolo()
    const ratio = content.height / content.width
    const { columns, width: paneWidth } = arrange(width, ratio, solo ? 1 : order.length, solo)
    grid.style.gridTemplateColumns = `repeat(${columns}, ${solo ? `${paneWidth}px` : "minmax(0, 1fr)"})`
    const density = window.devicePixelRatio || 1
    const [w, h] = [Math.round(paneWidth * density), Math.round(paneWidth * ratio * density)]
    for (const key of order) {
      const pane = paneOf(key)
      pane.figure.hidden = solo !== null && key !== solo
      pane.expand.textContent = solo ? "✕" : "⤢"
      pane.expand.setAttribute("aria-pressed", String(solo === key))
      pane.stage.style.aspectRatio = `${content.width} / ${content.height}`
      if (pane.canvas.width !== w || pane.canvas.height !== h) Object.assign(pane.canvas, { width: w, height: h })
    }
    view.over(paneWidth)
    showPairBar()
    draw()
  }

  // --- drawing ---------------------------------------------------------------------------

  function draw() {
    frame ||= requestAnimationFrame(render)
  }

  function render() {
    frame = 0
    if (!content) return
    if (scene) scene.setting = setting
    if (wantedPanes().join() !== order.join()) return layout()
    const seen = solo ? [solo] : order
    for (const key of seen) drawOne(paneOf(key), refresh(key))
    showValues()
    part("zoom").textContent = `${Math.round(view.zoom * 100)}%`
    root.dataset.view = [view.zoom.toFixed(3), view.x.toFixed(1), view.y.toFixed(1), opacity.value].join(" ")
    root.dataset.setting = JSON.stringify(setting)
    drawTables(seen)
  }

  function refresh(key) {
    const pane = paneOf(key), shown = shownOf(key)
    updatePane(pane, shown, content.width, content.height, content.photoId)
    writeCaption(pane, scene && !fixed(key) ? captionOf(scene, key, shown) : (shown.caption ?? ""))
    return shown
  }

  function drawOne(pane, shown) {
    const { canvas } = pane, alpha = opacity.value / 100
    const photo = backdrop(content.photo, content.photoId, view, canvas, content.width, content.height)
    const paint = ({ layer, shown }) => drawPane(canvas, layer, shown, photo, view, alpha, content.width)
    const other = solo && pair.mode && pair.key !== pane.key && order.includes(pair.key) ? paneOf(pair.key) : null
    if (other) refresh(pair.key)
    const blinked = other && pair.mode === "blink" && pair.second
    paint(blinked ? other : pane)
    if (other && pair.mode === "swipe") drawRightOf(canvas, pair.at, () => paint(other))
    pane.title.textContent = blinked ? other.shown.title : shown.title
    if (solo && divider.parentElement !== pane.stage) pane.stage.append(divider)
    divider.place(shown.title, other?.shown.title ?? "")
    if (!other) divider.hidden = true
    drawRegion(canvas, viewer.region.points, view)
    canvas.style.touchAction = view.zoom > 1 || viewer.tool !== "move" ? "none" : "pan-y"
  }

  function drawTables(seen) {
    drawReading(part("reading"), scene, picked, content.width, () => { picked = null; draw() })
    const inside = scene && viewer.region.of(content.width, content.height)
    const described = seen.map(key => ({ key, shown: paneOf(key).shown }))
    drawRegionFigures(part("inside"), scene, inside, described, viewer.region.clear)
  }

  // Other colours, of scores or of classes.
  function wear(changed) {
    look = { ...look, ...changed }
    if (scene) scene.look = look
    const colours = content.scene?.tables[look.scores] ?? content.panes.find(pane => pane.kind === "scores")?.table
    part("scale").hidden = !colours
    if (colours) paintScale(part("ramp"), colours)
    remember()
    draw()
  }

  // --- values under the pointer ----------------------------------------------------------

  const say = text => { part("spoken").textContent = text }

  function setProbe(point) {
    const inside = point && point[0] >= 0 && point[1] >= 0 && point[0] < content.width && point[1] < content.height
    probe = inside ? point.map(Math.floor) : null
    if (!probe) viewer.pinned = false
    draw()
  }

  function showValues() {
    part("position").textContent = probe ? probe.join(", ") : ""
    root.classList.toggle("pinned", viewer.pinned)
    for (const key of order) showProbe(paneOf(key), view, probe, content.width)
  }

  function moveProbe(dx, dy) {
    const [x, y] = probe ?? [Math.floor(view.x), Math.floor(view.y)]
    viewer.pinned = true
    setProbe([Math.min(Math.max(x + dx, 0), content.width - 1), Math.min(Math.max(y + dy, 0), content.height - 1)])
    const pixel = probe[1] * content.width + probe[0]
    const seen = order.map(key => paneOf(key).shown).filter(shown => shown?.values)
    const read = seen.map(shown => `${shown.title} ${valueAt(shown, pixel)}`)
    say(`Pixel ${probe.join(", ")}: ${read.join("; ")}`)
  }

  function pick() {
    if (!probe || !scene) return
    picked = probe
    draw()
  }

  function corner() {
    const point = (probe ?? [view.x, view.y]).map(each => Math.floor(each) + 0.5)
    const { region } = viewer
    if (region.kind === "box" && region.points.length === 1) {
      region.extend(point)
      region.finish()
    } else region.begin("box", point)
    say(region.points.length === 1 ? "First corner set" : "Box drawn")
  }

  // --- one pane, and two in one ----------------------------------------------------------

  function enlarge(key) {
    const known = key ?? solo ?? order[0]
    if (solo === known) leaveSolo()
    else solo = known
    remember()
    layout()
    if (solo) paneOf(solo).canvas.focus({ preventScroll: true })
  }

  function leaveSolo() {
    solo = null
    pair.set("")
  }

  function compare(mode, key) {
    if (!solo) enlarge(key ?? order[0])
    const same = pair.mode === mode && pair.key && pair.key !== solo
    const fits = order.includes(pair.key) && pair.key !== solo
    if (!same) pair.set(mode, fits ? pair.key : order.find(each => each !== solo))
    else if (mode === "blink" && pair.still) pair.turn()
    else pair.set("")
    showPairBar()
  }

  function showPairBar() {
    const others = solo ? order.filter(key => key !== solo).map(key => [key, shownOf(key)?.title ?? key]) : []
    drawPairBar(part("pair"), pair, others, compare)
  }

  // --- setting by keys, overlay, tools ---------------------------------------------------

  function step(name, by) {
    const next = controls.step(name, setting[name], by)
    if (!next) return
    move(name, next.value)
    send()
    say(next.said)
  }

  function setOpacity(value) {
    opacity.value = value
    remember()
    draw()
  }

  function hideOverlay() {
    if (+opacity.value) before = opacity.value
    setOpacity(+opacity.value ? 0 : before)
  }

  function useTool(tool) {
    viewer.tool = tool
    for (const name of ["box", "lasso"]) part(name).setAttribute("aria-pressed", String(tool === name))
    draw()
  }

  function escape() {
    if (dialog.open) return dialog.close()
    if (menu.open) return menu.toggle()
    viewer.pinned = false
    setProbe(null)
    useTool("move")
    if (picked || viewer.region.points.length) {
      picked = null
      viewer.region.clear()
    } else if (solo) {
      leaveSolo()
      remember()
      layout()
    }
  }

  // --- what outlives a rerun and a visit to another page ---------------------------------

  function restore() {
    if (stored === content.key) return
    stored = content.key
    const kept = recall(stored)
    opacity.value = kept.opacity ?? content.opacity
    solo = kept.solo ?? null
    look = { ...look, ...kept.look }
  }

  function remember() {
    keepInMind(stored, { opacity: +opacity.value, solo, look })
  }

  function close() {
    resized.disconnect()
    pair.end()
    cancelAnimationFrame(frame)
    if (sending) {
      clearTimeout(sending)
      viewer.setTriggerValue("setting", { ...setting, turn: ++turn })
    }
    instances.delete(root)
  }

  opacity.oninput = () => setOpacity(+opacity.value)
  part("in").onclick = () => viewer.zoom(1.5)
  part("out").onclick = () => viewer.zoom(1 / 1.5)
  part("fit").onclick = viewer.fit
  part("keys").onclick = viewer.help
  for (const name of ["box", "lasso"]) part(name).onclick = () => useTool(viewer.tool === name ? "move" : name)
  root.onkeydown = event => {
    const target = event.composedPath()[0], typing = target.matches("input, select")
    const taken = !typing && takeKey(viewer, event, target.dataset.pane)
    if (taken) event.preventDefault()
    if (taken || typing) event.stopPropagation() // else the page steps to another image, or reruns
  }
  fillHelp(dialog)
  const resized = new ResizeObserver(() => layout())
  resized.observe(grid)
  return viewer
}
