// Pointer and wheel on a pane: zoom, pan, pinch, pick, and drawing a box or a lasso.

const CLICK_PX = 3

// `viewer` offers: view, tool, draw, setProbe, pinned, pick, enlarge, region.
function listenToPane(pane, viewer) {
  const { canvas } = pane
  const { view, pointers } = viewer
  let drag = null

  const photoPoint = event => {
    const box = canvas.getBoundingClientRect()
    return view.toPhoto(event.clientX - box.left, event.clientY - box.top, box.width, box.height)
  }

  canvas.onwheel = event => {
    const step = event.deltaY * (event.deltaMode === 1 ? 20 : 1) * (event.ctrlKey ? 4 : 1)
    if (step > 0 && view.zoom === 1) return // all of it is seen: let the page scroll
    event.preventDefault()
    view.zoomAt(Math.exp(-step / 400), ...photoPoint(event))
    viewer.draw()
  }

  canvas.onpointerdown = event => {
    if (event.button) return
    canvas.setPointerCapture(event.pointerId)
    pointers.set(event.pointerId, event)
    const tool = event.shiftKey ? "box" : viewer.tool
    drag = {
      moved: false, x: event.clientX, y: event.clientY, from: photoPoint(event),
      tool: pointers.size > 1 ? "move" : tool,
    }
  }

  canvas.onpointermove = event => {
    if (!pointers.has(event.pointerId)) {
      if (!viewer.pinned) viewer.setProbe(photoPoint(event))
      return
    }
    const before = [...pointers.values()]
    pointers.set(event.pointerId, event)
    const after = [...pointers.values()]
    if (!drag) return
    if (after.length > 1) return pinch(before, after)
    if (!drag.moved && Math.hypot(event.clientX - drag.x, event.clientY - drag.y) <= CLICK_PX) return
    const began = !drag.moved
    drag.moved = true
    if (drag.tool === "move") {
      view.panBy(event.clientX - before[0].clientX, event.clientY - before[0].clientY)
      viewer.draw()
    } else {
      if (began) viewer.region.begin(drag.tool, drag.from)
      viewer.region.extend(photoPoint(event))
    }
  }

  canvas.onpointerup = event => {
    pointers.delete(event.pointerId)
    if (drag?.moved && drag.tool !== "move") viewer.region.finish()
    if (!drag || drag.moved || pointers.size) return
    viewer.pinned = false
    viewer.setProbe(photoPoint(event))
    viewer.pinned = event.pointerType !== "mouse" // a finger leaves, what it touched stays
    viewer.pick()
  }

  canvas.onpointercancel = event => pointers.delete(event.pointerId)
  canvas.onpointerleave = () => !viewer.pinned && viewer.setProbe(null)
  canvas.ondblclick = () => viewer.enlarge(pane.key)

  function pinch(before, after) {
    drag.moved = true
    drag.tool = "move"
    const middle = ([a, b]) => ({ clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 })
    const apart = ([a, b]) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) || 1
    const [from, to] = [middle(before), middle(after)]
    view.zoomAt(apart(after) / apart(before), ...photoPoint(from))
    view.panBy(to.clientX - from.clientX, to.clientY - from.clientY)
    viewer.draw()
  }
}
