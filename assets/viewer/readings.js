// Tables below the pictures: all scores of a picked pixel, and the figures inside a drawn region.

const listed = new Intl.NumberFormat("en")

function drawReading(host, scene, picked, width, onclose) {
  const stamp = picked && scene ? JSON.stringify([picked, scene.setting]) : ""
  if (host.dataset.stamp === stamp) return
  host.dataset.stamp = stamp
  if (!stamp) return host.replaceChildren()
  const [x, y] = picked, { rows, said } = scene.reading(y * width + x)
  const classes = scene.names
  const heading = element("p", "heading", `Scores at pixel (${x}, ${y})`)
  heading.append(button("✕", "Close the scores", onclose, "close"))
  const scores = table(
    ["Source", ...scene.ids.map(id => classes[id])],
    rows.map(({ title, scores }) => [title, ...Array.from(scores, score => score.toFixed(3))]),
  )
  const line = element("p", "said", said.map(({ title, label }) => `${title}: ${classes[label] ?? label}`).join(" · "))
  host.replaceChildren(heading, scores, line)
}

// `panes` are those shown, [{title, shown}]; one row for each that has a mask of its own.
function drawRegionFigures(host, scene, region, panes, onclose) {
  const stamp = region && scene ? JSON.stringify([region.id, scene.setting, panes.map(pane => pane.key)]) : ""
  if (host.dataset.stamp === stamp) return
  host.dataset.stamp = stamp
  if (!stamp) return host.replaceChildren()
  const masks = panes.filter(({ shown }) => shown.mask && shown.title !== "Errors")
  const rows = masks.map(({ key, shown }) => {
    if (!scene.hasTruth) return [shown.title, `${percent(scene.share(shown.mask, `region ${key}`, region))}%`]
    const { precision, recall, iou } = scene.scores(shown.mask, `region ${key}`, region)
    return [shown.title, ...[precision, recall, iou].map(percent)]
  })
  const heading = element("p", "heading", `Inside the outline: ${listed.format(region.pixels)} pixels`)
  heading.append(button("✕", "Remove the outline", onclose, "close"))
  const headings = scene.hasTruth ? ["Mask of", "Precision", "Recall", "IoU"] : ["Mask of", "Foreground"]
  host.replaceChildren(heading, table(headings, rows))
}
