// What a tab remembers of a viewer over reruns and visits to other pages: overlay, large picture, colours.

const memoryOf = key => `orandnet.viewer.${key}`

function recall(key) {
  return JSON.parse(sessionStorage.getItem(memoryOf(key)) ?? "{}")
}

function keepInMind(key, remembered) {
  sessionStorage.setItem(memoryOf(key), JSON.stringify(remembered))
}
