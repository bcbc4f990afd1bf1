// The line below a live pane: how its mask scores in this image, or how much of it there is.

function captionOf(scene, key, { mask }) {
  if (!mask) return ""
  if (!scene.hasTruth) return `${percent(scene.share(mask, key))}% of the image`
  const { precision, recall, iou, decided } = scene.scores(mask, key)
  const scores = `P ${percent(precision)} · R ${percent(recall)} · IoU ${percent(iou)}`
  return decided < 1 ? `${scores} · ${percent(decided)}% decided` : scores
}
