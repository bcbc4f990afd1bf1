// How large the panes are: all of one size, as many a row as let them be seen at once.

const GAP_PX = 10
const CAPTION_PX = 47 // title line and caption line
const NARROWEST_PX = 190
const ABOVE_PX = 280 // what usually stands above the pictures; they share what is left of the window
const LEAST_ROOM_PX = 420

// {columns, width}: panes a row and CSS pixels a pane, for `count` panes in a grid of `gridWidth`.
function arrange(gridWidth, ratio, count, solo) {
  const room = Math.max(LEAST_ROOM_PX, window.innerHeight - ABOVE_PX)
  if (solo) return { columns: 1, width: Math.min(gridWidth, (room - CAPTION_PX) / ratio) }
  const widthOf = columns => (gridWidth - (columns - 1) * GAP_PX) / columns
  for (let columns = 1; columns <= count; columns++) {
    const width = widthOf(columns), rows = Math.ceil(count / columns)
    const fits = rows * (width * ratio + CAPTION_PX) + (rows - 1) * GAP_PX <= room
    if (fits && width >= NARROWEST_PX) return { columns, width }
    if (fits) break
  }
  const columns = Math.min(count, Math.max(1, Math.floor((gridWidth + GAP_PX) / (NARROWEST_PX + GAP_PX))))
  return { columns, width: widthOf(columns) }
}
