// Which part of the photo all panes show: a zoom (1 fits the pane) and the photo's point in the middle.

const LARGEST_PIXEL_PX = 40

function createViewport() {
  let width = 1, height = 1, paneWidth = 1 // of the photo in pixels, of a pane in CSS pixels
  const view = { zoom: 1, x: 0, y: 0 }

  function clamp() {
    view.zoom = Math.min(Math.max(view.zoom, 1), Math.max(1, (LARGEST_PIXEL_PX * width) / paneWidth))
    if (view.zoom < 1.001) view.zoom = 1
    const halfWidth = width / 2 / view.zoom, halfHeight = height / 2 / view.zoom
    view.x = Math.min(Math.max(view.x, halfWidth), width - halfWidth)
    view.y = Math.min(Math.max(view.y, halfHeight), height - halfHeight)
  }

  return Object.assign(view, {
    clamp,
    fit(photoWidth, photoHeight) {
      width = photoWidth
      height = photoHeight
      Object.assign(view, { zoom: 1, x: width / 2, y: height / 2 })
    },
    over(px) {
      paneWidth = px || 1
      clamp()
    },
    // Zoom and keep the photo's point (x, y) where it is on screen.
    zoomAt(factor, x, y) {
      const before = view.zoom
      view.zoom *= factor
      clamp()
      view.x = x + ((view.x - x) * before) / view.zoom
      view.y = y + ((view.y - y) * before) / view.zoom
      clamp()
    },
    // Move by CSS pixels of a pane.
    panBy(dx, dy) {
      const scale = view.scale()
      view.x -= dx / scale
      view.y -= dy / scale
      clamp()
    },
    // CSS pixels a photo pixel.
    scale: () => (view.zoom * paneWidth) / width,
    // From CSS pixels inside a pane of a size to the photo's point, and back.
    toPhoto: (left, top, boxWidth, boxHeight) => [
      view.x + ((left - boxWidth / 2) * width) / (view.zoom * boxWidth),
      view.y + ((top - boxHeight / 2) * width) / (view.zoom * boxWidth),
    ],
    toPane: (x, y, boxWidth, boxHeight) => [
      boxWidth / 2 + ((x - view.x) * view.zoom * boxWidth) / width,
      boxHeight / 2 + ((y - view.y) * view.zoom * boxWidth) / width,
    ],
  })
}
