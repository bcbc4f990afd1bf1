// The keyboard: one table that is both what keys do and the help sheet.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }

// {keys, run(viewer, event, paneKey), shown, help}. A run that returns false leaves the key to the page.
const KEYS = [
  { keys: ["+", "="], run: viewer => viewer.zoom(1.25), shown: "+", help: "zoom in; also scroll, pinch" },
  { keys: ["-"], run: viewer => viewer.zoom(0.8), shown: "−", help: "zoom out" },
  { keys: ["0"], run: viewer => viewer.fit(), shown: "0", help: "show the whole photo" },
  {
    keys: Object.keys(ARROWS), shown: "arrows",
    help: "move about when zoomed in; at full view, ← and → step through the images",
    run(viewer, event) {
      const step = ARROWS[event.key]
      if (event.shiftKey) viewer.moveProbe(...step)
      else if (viewer.view.zoom > 1) viewer.pan(...step.map(by => -60 * by))
      else return false
    },
  },
  { keys: [], shown: "Shift + arrows", help: "read values pixel by pixel" },
  {
    keys: ["Enter"], shown: "Enter", help: "all scores of all classes at this pixel; also click",
    run: (viewer, _, pane) => (pane ? viewer.pick() : false),
  },
  {
    keys: ["x"], shown: "X", help: "a corner of a box, then the opposite one; also Shift + drag",
    run: viewer => viewer.corner(),
  },
  {
    keys: ["l"], shown: "L", help: "lasso on or off",
    run: viewer => viewer.useTool(viewer.tool === "lasso" ? "move" : "lasso"),
  },
  {
    keys: ["f"], shown: "F", help: "enlarge this picture, and back; also double click",
    run: (viewer, _, pane) => viewer.enlarge(pane),
  },
  {
    keys: [..."123456789"], shown: "1 … 9", help: "enlarge the first, second, ... picture",
    run: (viewer, event) => viewer.enlargeNumber(+event.key),
  },
  { keys: ["s"], run: (viewer, _, pane) => viewer.compare("swipe", pane), shown: "S", help: "swipe between two pictures" },
  { keys: ["b"], run: (viewer, _, pane) => viewer.compare("blink", pane), shown: "B", help: "blink between two pictures" },
  { keys: ["o"], run: viewer => viewer.hideOverlay(), shown: "O", help: "hide the overlay, and show it" },
  { keys: ["["], run: viewer => viewer.moveOpacity(-10), shown: "[  ]", help: "overlay weaker, stronger" },
  { keys: ["]"], run: viewer => viewer.moveOpacity(10) },
  { keys: [","], run: viewer => viewer.moveThreshold(-1), shown: ",  .", help: "threshold one step down, up" },
  { keys: ["."], run: viewer => viewer.moveThreshold(1) },
  { keys: ["<"], run: viewer => viewer.moveThreshold(-16), shown: "<  >", help: "threshold sixteen steps down, up" },
  { keys: [">"], run: viewer => viewer.moveThreshold(16) },
  { keys: ["c"], run: viewer => viewer.nextClass(1), shown: "C", help: "next class; with Shift the one before" },
  { keys: ["C"], run: viewer => viewer.nextClass(-1) },
  { keys: ["m"], run: viewer => viewer.togglePanes(), shown: "M", help: "choose and order the pictures" },
  { keys: ["?"], run: viewer => viewer.help(), shown: "?", help: "this sheet" },
  {
    keys: ["Escape"], shown: "Esc", help: "let go of pixel and outline; leave the large picture",
    run: viewer => viewer.escape(),
  },
]

// True where the key was taken.
function takeKey(viewer, event, paneKey) {
  if (event.ctrlKey || event.metaKey || event.altKey) return false
  const found = KEYS.find(({ keys }) => keys.includes(event.key))
  return Boolean(found) && found.run(viewer, event, paneKey) !== false
}

function fillHelp(dialog) {
  const rows = element("dl")
  for (const { shown, help } of KEYS.filter(key => key.shown)) {
    const term = element("dt"), text = element("dd", "", help)
    term.append(...shown.split("  ").flatMap((key, place) => [place ? " " : "", element("kbd", "", key)]))
    rows.append(term, text)
  }
  const note = element("p", "hint", "Keys count while the focus is in the viewer: click a picture, or reach one with Tab.")
  const close = button("Close", "", () => dialog.close(), "plain")
  dialog.replaceChildren(element("h3", "", "Keys of the viewer"), rows, note, close)
}
