// Which panes are shown, and in which order: a list to tick and to move up and down.

// `get` gives {all: [[key, title]], shown: [key], look, palettes: {scores, labels: [[table, name]]}};
// `set` takes the keys to show, in order, or null for the usual ones; `wear` other colours.
function createPanesMenu(host, { get, set, wear }) {
  const details = element("details", "menu"), summary = element("summary", "", "Panes"), list = element("ul")
  const usual = button("As usual", "Show the usual panes in their usual order", () => {
    set(null)
    draw()
  }, "plain")
  const body = element("div", "sheet")
  const colours = element("div", "fields")
  body.append(list, usual, colours)
  details.append(summary, body)
  host.append(details)
  details.ontoggle = () => {
    if (details.open) document.addEventListener("pointerdown", closeBeside)
    else document.removeEventListener("pointerdown", closeBeside)
    if (details.open) draw()
  }
  details.addEventListener("keydown", event => {
    if (event.key !== "Escape" || !details.open) return
    toggle()
    event.stopPropagation()
  })

  function toggle() {
    details.open = !details.open
    summary.focus()
  }

  function closeBeside(event) {
    if (!event.composedPath().includes(details)) details.open = false
  }

  function draw(focused = "") {
    const { all, shown, look, palettes } = get()
    const titles = new Map(all)
    const rest = all.map(([key]) => key).filter(key => !shown.includes(key))
    const order = [...shown.filter(key => titles.has(key)), ...rest]
    list.replaceChildren(...order.map((key, place) => {
      const row = element("li"), label = element("label"), box = element("input")
      box.type = "checkbox"
      box.checked = shown.includes(key)
      box.disabled = box.checked && shown.length === 1
      box.dataset.pane = key
      box.onchange = () => {
        const next = box.checked ? [...shown, key] : shown.filter(other => other !== key)
        change(next, `[data-pane="${key}"]`)
      }
      label.append(box, element("span", "", titles.get(key)))
      row.append(label)
      if (box.checked) {
        const step = (by, sign, name) => {
          const made = button(sign, `Move ${titles.get(key)} ${name}`, () => {
            const next = [...shown]
            next.splice(place, 1)
            next.splice(place + by, 0, key)
            change(next, `[data-move="${key} ${by}"]`)
          })
          made.dataset.move = `${key} ${by}`
          made.disabled = place + by < 0 || place + by >= shown.length
          return made
        }
        row.append(step(-1, "↑", "earlier"), step(1, "↓", "later"))
      }
      return row
    }))
    colours.replaceChildren(...Object.entries(palettes).map(([name, tables]) => {
      const field = element("label", "field choice"), label = `Colours of ${name}`
      field.append(element("span", "name", label), chooser(tables, look[name], label, table => wear({ [name]: table })))
      return field
    }))
    if (focused) list.querySelector(`${focused}:not(:disabled)`)?.focus()
  }

  function change(next, focused) {
    set(next)
    draw(focused)
  }

  return { toggle, redraw: () => details.open && draw(), get open() { return details.open } }
}
