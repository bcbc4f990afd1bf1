// The few ways in which elements are made.

function element(tag, name = "", text = "") {
  const made = document.createElement(tag)
  if (name) made.className = name
  if (text) made.textContent = text
  return made
}

function button(text, label, onclick, name = "") {
  const made = element("button", name, text)
  made.type = "button"
  if (label) {
    made.setAttribute("aria-label", label)
    made.title = label
  }
  made.onclick = onclick
  return made
}

function chooser(options, value, label, onchange) {
  const made = element("select")
  for (const [key, text] of options) {
    const option = element("option", "", text)
    option.value = key
    made.append(option)
  }
  made.value = value
  made.setAttribute("aria-label", label)
  made.onchange = () => onchange(made.value)
  return made
}

// A table with a heading row; the first column names the rows.
function table(headings, rows) {
  const made = element("table"), head = made.createTHead().insertRow()
  for (const heading of headings) {
    const cell = element("th", "", heading)
    cell.scope = "col"
    head.append(cell)
  }
  const body = made.createTBody()
  for (const [name, ...cells] of rows) {
    const row = body.insertRow(), first = element("th", "", name)
    first.scope = "row"
    row.append(first)
    for (const cell of cells) row.insertCell().textContent = cell
  }
  return made
}

const percent = fraction => (Number.isNaN(fraction) ? "–" : (100 * fraction).toFixed(1))
