// One pane: a figure with a title, a canvas and a line of text below; it draws itself.

function createPane(key) {
  const figure = element("figure"), heading = element("figcaption"), stage = element("div", "stage")
  const pane = {
    key, figure, stage, shown: null, painted: "",
    title: element("span", "title"), subtitle: element("span", "subtitle"), value: element("span", "value"),
    expand: button("⤢", "", null, "expand"), canvas: element("canvas"), cross: element("i", "cross"),
    note: element("div", "note"), legend: element("span", "legend"), caption: element("span", "caption"),
    layer: null, pixels: null, legendOf: "",
  }
  pane.canvas.tabIndex = 0
  pane.canvas.setAttribute("role", "img")
  pane.canvas.dataset.pane = key
  pane.value.dataset.value = key
  pane.caption.dataset.caption = key
  pane.note.append(pane.legend, pane.caption)
  heading.append(pane.title, pane.subtitle, pane.value, pane.expand)
  stage.append(pane.canvas, pane.cross)
  figure.append(heading, stage, pane.note)
  return pane
}

// Take over what the pane is to show; colours its layer where that has changed.
function updatePane(pane, shown, width, height, photoId) {
  const before = pane.shown
  pane.shown = shown
  if (before?.title !== shown.title) {
    pane.title.textContent = shown.title
    pane.expand.setAttribute("aria-label", `Enlarge ${shown.title}`)
    pane.expand.title = `Enlarge ${shown.title}`
  }
  if (before?.subtitle !== shown.subtitle) pane.subtitle.textContent = pane.subtitle.title = shown.subtitle
  const stamp = `${photoId} ${shown.kind} ${shown.stamp}`
  if (pane.painted === stamp) return
  pane.painted = stamp
  if (shown.kind === "photo") {
    pane.layer = null
    return
  }
  if (pane.layer?.width !== width || pane.layer?.height !== height) {
    pane.layer = new OffscreenCanvas(width, height)
    pane.context = pane.layer.getContext("2d")
    pane.pixels = pane.context.createImageData(width, height)
    pane.colours = new Uint32Array(pane.pixels.data.buffer)
  }
  if (shown.kind === "scores") paintScores(shown.values, shown.table, shown.level, width, pane.colours)
  else paintLabels(shown.values, shown.table, pane.colours)
  pane.context.putImageData(pane.pixels, 0, 0)
  writeLegend(pane, shown)
}

// What is seen in a colour, by name; `explained` fixes what is named, `shared` adds how much there is of it.
function writeLegend(pane, { kind, values, table, names, explained, shared }) {
  let entries = []
  if (kind === "label") {
    const seen = new Uint8Array(256)
    for (let i = 0; i < values.length; i++) seen[values[i]] = 1
    const named = explained ?? Object.entries(names)
    entries = named.filter(([label, , always]) => table[label] >>> 24 && names[label] && (seen[label] || always))
  }
  if (shared) {
    const shares = labelShares(values)
    entries = entries.map(([label, name]) => [label, +label < 255 ? `${name} ${percent(shares[label])}%` : name])
  }
  pane.note.classList.toggle("tall", Boolean(shared))
  const stamp = JSON.stringify([entries, ...entries.map(([label]) => table[label])])
  if (pane.legendOf === stamp) return
  pane.legendOf = stamp
  pane.legend.replaceChildren(
    ...entries.map(([label, name]) => {
      const entry = element("span", "entry"), swatch = element("i", "swatch")
      swatch.style.background = cssColour(table[label])
      entry.append(swatch, name)
      return entry
    }),
  )
}

// The line below the picture, and what a screen reader says of the whole.
function writeCaption(pane, caption) {
  if (pane.caption.textContent !== caption) pane.caption.textContent = caption
  const entries = Array.from(pane.legend.children, entry => entry.textContent)
  pane.note.title = [...entries, caption].filter(Boolean).join(" · ")
  const { title, subtitle, shared } = pane.shown
  const said = [title, subtitle, ...(shared ? entries : []), caption].filter(Boolean).join(". ")
  if (pane.said !== said) pane.canvas.setAttribute("aria-label", (pane.said = said))
}

// Draw the layer over the photo, which lies ready in the canvas's size and part (`backdrop`).
function drawPane(canvas, layer, shown, backdrop, view, opacity, width) {
  const context = canvas.getContext("2d")
  context.setTransform(1, 0, 0, 1, 0, 0)
  context.globalAlpha = 1
  context.drawImage(backdrop, 0, 0)
  if (!layer || !opacity) return
  const scale = (view.zoom * canvas.width) / width
  context.setTransform(scale, 0, 0, scale, canvas.width / 2 - view.x * scale, canvas.height / 2 - view.y * scale)
  context.imageSmoothingEnabled = scale < (shown.kind === "label" ? 1 : 2.5)
  context.imageSmoothingQuality = "low"
  context.globalAlpha = opacity
  context.drawImage(layer, 0, 0)
}

// The photo as the view shows it, drawn once for all panes.
function createBackdrop() {
  const canvas = new OffscreenCanvas(1, 1)
  let stamp = ""
  return (photo, photoId, view, size, width, height) => {
    const wanted = [photoId, view.zoom, view.x, view.y, size.width, size.height].join()
    if (stamp === wanted) return canvas
    stamp = wanted
    canvas.width = size.width
    canvas.height = size.height
    const context = canvas.getContext("2d", { alpha: false })
    const scale = (view.zoom * size.width) / width
    context.setTransform(scale, 0, 0, scale, size.width / 2 - view.x * scale, size.height / 2 - view.y * scale)
    context.imageSmoothingEnabled = scale < 2.5
    context.imageSmoothingQuality = "high"
    context.drawImage(photo, 0, 0, width, height)
    return canvas
  }
}

function valueAt({ kind, values, names }, pixel) {
  if (!values) return ""
  return kind === "label" ? (names[values[pixel]] ?? `label ${values[pixel]}`) : values[pixel].toFixed(2)
}

// The value and the mark of the pixel that is read, [x, y] or null.
function showProbe({ value, shown, figure, canvas, cross }, view, probe, width) {
  const text = probe && shown ? valueAt(shown, probe[1] * width + probe[0]) : ""
  if (value.textContent !== text) value.textContent = text
  cross.hidden = !probe
  if (!probe || figure.hidden) return
  const [w, h] = [canvas.clientWidth, canvas.clientHeight]
  const [left, top] = view.toPane(probe[0] + 0.5, probe[1] + 0.5, w, h)
  cross.hidden = left < 0 || top < 0 || left > w || top > h
  cross.style.transform = `translate(${left}px, ${top}px)`
}
