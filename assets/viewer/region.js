// A box or a lasso on the photo, the same in all panes: [[x, y], ...] in photo pixels.

const LEAST_LASSO_STEP = 1.5

function createRegion(onchange) {
  let points = [], kind = "", from = null, id = 0, cached = null

  const region = {
    get points() { return points },
    get kind() { return kind },
    get id() { return id },
    begin(tool, point) {
      kind = tool
      from = point
      points = [point]
      changed()
    },
    extend(point) {
      if (kind === "box") {
        const [x0, y0] = from.map(Math.floor), [x1, y1] = point.map(Math.floor)
        const [left, right] = [Math.min(x0, x1), Math.max(x0, x1) + 1]
        const [top, bottom] = [Math.min(y0, y1), Math.max(y0, y1) + 1]
        points = [[left, top], [right, top], [right, bottom], [left, bottom]]
      } else {
        const last = points[points.length - 1]
        if (Math.hypot(point[0] - last[0], point[1] - last[1]) < LEAST_LASSO_STEP) return
        points.push(point)
      }
      changed()
    },
    finish() {
      if (points.length < 3) region.clear()
    },
    clear() {
      if (!points.length) return
      points = []
      kind = ""
      changed()
    },
    // {id, inside, pixels}: which pixels of the photo it holds; null without a region.
    of(width, height) {
      if (points.length < 3) return null
      if (cached?.id === id && cached.inside.length === width * height) return cached
      const inside = polygonMask(points, width, height)
      let pixels = 0
      for (let i = 0; i < inside.length; i++) pixels += inside[i]
      cached = { id, inside, pixels }
      return cached
    },
  }

  function changed() {
    id++
    onchange()
  }

  return region
}

// Its outline on a pane's canvas, white on black so that it is seen on any picture.
function drawRegion(canvas, points, view) {
  if (points.length < 2) return
  const context = canvas.getContext("2d"), density = canvas.width / canvas.clientWidth
  context.setTransform(1, 0, 0, 1, 0, 0)
  context.globalAlpha = 1
  context.beginPath()
  for (const [x, y] of points) context.lineTo(...view.toPane(x, y, canvas.width, canvas.height))
  context.closePath()
  for (const [colour, width] of [["#000", 3], ["#fff", 1.5]]) {
    context.strokeStyle = colour
    context.lineWidth = width * density
    context.stroke()
  }
}
