// The controls of a setting, from a description: groups of sliders, choices and toggles.
//
// A control moves the setting at once (`onmove`) and hands it over when let go (`ondone`).

const RADIO_UP_TO = 6

function createControls(host, { onmove, ondone }) {
  let groups = [], drawn = "", rows = new Map(), held = false

  function draw(described) {
    const stamp = JSON.stringify(described)
    if (stamp === drawn) return
    const open = new Map(Array.from(host.querySelectorAll("details"), each => [each.dataset.group, each.open]))
    drawn = stamp
    held = false // what goes is not let go any more
    groups = described
    rows = new Map()
    host.replaceChildren(...groups.map(group => drawGroup(group, open)))
    host.hidden = !groups.length
  }

  function drawGroup(group, open) {
    const fields = group.controls.map(control => {
      const row = ROWS[control.kind](control, value => move(control.name, value), () => release())
      rows.set(control.name, { control, ...row })
      return row.field
    })
    if (group.reset) {
      fields.push(button("Reset", "", () => {
        for (const { name, default: value } of group.controls) onmove(name, value)
        release()
      }, "plain"))
    }
    if (!group.title) {
      const made = element("div", "fields")
      made.append(...fields)
      return made
    }
    const made = element("details"), summary = element("summary"), body = element("div", "fields")
    made.dataset.group = group.title
    made.open = open.get(group.title) ?? false
    body.append(...fields)
    made.append(summary, body)
    return made
  }

  // A slider that ends where it began says nothing of a change.
  for (const end of ["pointerup", "pointercancel", "focusout"]) host.addEventListener(end, () => { held = false })

  function move(name, value) {
    held = true
    onmove(name, value)
  }

  function release() {
    held = false
    ondone()
  }

  // Show a setting; a control that the setting makes meaningless is disabled.
  function show(setting) {
    for (const { control, write, field, inputs } of rows.values()) {
      write(setting[control.name])
      const needs = control.needs
      const off = needs && !needs.values.includes(setting[needs.name])
      for (const input of inputs) input.disabled = Boolean(off)
      field.classList.toggle("off", Boolean(off))
    }
    for (const group of host.querySelectorAll("details")) {
      const { title, controls } = groups.find(each => each.title === group.dataset.group)
      const changed = controls.filter(({ name, default: value }) => setting[name] !== value).length
      group.querySelector("summary").textContent = changed ? `${title} · ${changed} changed` : title
    }
  }

  // A slider's value some steps on, or a choice's next one, {value, said}; null without the control.
  function step(name, value, by) {
    const control = groups.flatMap(group => group.controls).find(each => each.name === name)
    if (!control) return null
    const { label, low, high, step: size, options } = control
    if (options) {
      const now = options.findIndex(([each]) => each === value)
      const [next, text] = options[(now + by + options.length) % options.length]
      return { value: next, said: text }
    }
    const next = Math.min(Math.max(Math.round(value / size + by) * size, low), high)
    return { value: next, said: `${label} ${next.toFixed(3)}` }
  }

  return { draw, show, step, get held() { return held } }
}

const ROWS = {
  slider(control, move, release) {
    const { label, low, high, step, help } = control
    const field = element("label", "field slider"), name = element("span", "name", label)
    const range = element("input"), number = element("input", "number numeric")
    const digits = step < 0.01 ? 3 : 2
    Object.assign(range, { type: "range", min: low, max: high, step })
    Object.assign(number, { type: "text", inputMode: "decimal", size: 5 })
    range.dataset.control = control.name
    range.setAttribute("aria-label", label)
    number.setAttribute("aria-label", `${label}, as a number`)
    range.oninput = () => move(+range.value)
    range.onchange = () => release()
    range.ondblclick = () => {
      move(control.default)
      release()
    }
    number.onchange = () => {
      const typed = Number(number.value.replace(",", "."))
      if (Number.isFinite(typed) && number.value.trim()) move(Math.min(high, Math.max(low, typed)))
      release()
    }
    field.title = help ?? ""
    field.append(name, number, range)
    const write = value => {
      if (+range.value !== value) range.value = value
      range.setAttribute("aria-valuetext", value.toFixed(digits))
      if (number.getRootNode().activeElement !== number) number.value = value.toFixed(digits)
    }
    return { field, write, inputs: [range, number] }
  },

  choice(control, move, release) {
    const { label, options, help } = control
    if (control.buttons && options.length <= RADIO_UP_TO) return radios(control, move, release)
    const field = element("label", "field choice")
    const select = chooser(options, control.default, label, text => {
      const [value] = options.find(([value]) => String(value) === text)
      move(value)
      release()
    })
    select.dataset.control = control.name
    field.title = help ?? ""
    field.append(element("span", "name", label), select)
    return { field, write: value => { select.value = value }, inputs: [select] }
  },

  toggle(control, move, release) {
    const field = element("label", "field toggle"), box = element("input")
    box.type = "checkbox"
    box.dataset.control = control.name
    box.onchange = () => {
      move(box.checked)
      release()
    }
    field.title = control.help ?? ""
    field.append(box, element("span", "name", control.label))
    return { field, write: value => { box.checked = value }, inputs: [box] }
  },
}

function radios({ name, label, options, help }, move, release) {
  const field = element("fieldset", "field radios"), group = `${name}-${Math.random()}`
  field.title = help ?? ""
  field.append(element("legend", "name", label))
  const inputs = options.map(([value, text]) => {
    const each = element("label"), input = element("input")
    Object.assign(input, { type: "radio", name: group, value })
    input.dataset.control = name
    input.onchange = () => {
      move(value)
      release()
    }
    each.append(input, element("span", "", text))
    field.append(each)
    return input
  })
  const write = value => inputs.forEach((input, n) => { input.checked = options[n][0] === value })
  return { field, write, inputs }
}
