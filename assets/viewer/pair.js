// Two pictures in one pane: a swipe between them, or one after the other (blink).

const BLINK_MS = 700 // slower than three flashes a second

function createPair(ondraw) {
  const still = matchMedia("(prefers-reduced-motion: reduce)")
  const pair = { key: null, mode: "", at: 0.5, second: false, get still() { return still.matches } }
  let timer = 0

  // Compare with the pane `key`, by "swipe" or "blink"; "" ends it.
  pair.set = (mode, key = pair.key) => {
    clearInterval(timer)
    Object.assign(pair, { mode: key ? mode : "", key, second: mode === "blink" })
    if (pair.mode === "blink" && !still.matches) timer = setInterval(pair.turn, BLINK_MS)
    ondraw()
  }
  pair.turn = () => {
    pair.second = !pair.second
    ondraw()
  }
  pair.moveTo = at => {
    pair.at = Math.min(Math.max(at, 0), 1)
    ondraw()
  }
  pair.end = () => clearInterval(timer)
  return pair
}

// The line between the two, to drag or to move by arrow keys.
function createDivider(pair) {
  const divider = element("div", "divider")
  divider.tabIndex = 0
  divider.setAttribute("role", "slider")
  divider.setAttribute("aria-valuemin", "0")
  divider.setAttribute("aria-valuemax", "100")
  divider.onpointerdown = event => {
    divider.setPointerCapture(event.pointerId)
    event.preventDefault()
    divider.focus()
  }
  divider.onpointermove = event => {
    if (!divider.hasPointerCapture(event.pointerId)) return
    const box = divider.parentElement.getBoundingClientRect()
    pair.moveTo((event.clientX - box.left) / box.width)
  }
  divider.onkeydown = event => {
    const step = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 }[event.key]
    if (!step) return
    event.preventDefault()
    event.stopPropagation()
    pair.moveTo(pair.at + step)
  }
  divider.place = (first, second) => {
    divider.hidden = pair.mode !== "swipe"
    divider.style.left = `${100 * pair.at}%`
    divider.setAttribute("aria-valuenow", String(Math.round(100 * pair.at)))
    divider.setAttribute("aria-label", `Swipe: ${first} to the left, ${second} to the right`)
  }
  return divider
}

// What to compare the large picture with, and how; `others` are [key, title], none where there is no large one.
function drawPairBar(bar, pair, others, compare) {
  bar.hidden = !others.length
  if (bar.hidden) return bar.replaceChildren()
  if (!others.some(([key]) => key === pair.key)) pair.key = others[0][0]
  const other = chooser(others, pair.key, "Picture to compare with", key => {
    pair.set(pair.mode || "swipe", key)
    drawPairBar(bar, pair, others, compare)
  })
  const modes = ["swipe", "blink"].map(mode => {
    const made = button(mode === "swipe" ? "Swipe" : "Blink", "", () => compare(mode))
    made.setAttribute("aria-pressed", String(pair.mode === mode))
    return made
  })
  bar.replaceChildren("Against", other, ...modes)
}

// Draw only to the right of a share of the canvas's width.
function drawRightOf(canvas, share, paint) {
  const context = canvas.getContext("2d"), from = Math.round(share * canvas.width)
  context.save()
  context.setTransform(1, 0, 0, 1, 0, 0)
  context.beginPath()
  context.rect(from, 0, canvas.width - from, canvas.height)
  context.clip()
  paint()
  context.restore()
}
