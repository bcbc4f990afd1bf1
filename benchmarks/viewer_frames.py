"""The viewer while a slider moves: a frame, and from the input to the picture.

Six panes of an image of 375 x 500 with three classes, as the Fuse page shows them: in the first
rows the threshold moves, in the others the exponent of the CNN's map, which fuses anew. Ours is
the median in a headless Chromium without a GPU. Theirs is, for a frame, 60 a second, which
Chromium does not exceed; and from input to paint, the time in which the server makes and packs the
same layers, before anything is sent, received or drawn. At the end of each way the browser's mask
must be the core's, pixel for pixel.
"""

import statistics
import sys
from base64 import b64decode
from collections.abc import Iterator

import cv2
import numpy as np

from benchmarks.table import Row, seconds_of
from benchmarks.viewer_page import chromium, in_chromium
from orandnet_core.fusion import Fusion, fuse
from orandnet_core.labels import IGNORE_INDEX
from orandnet_core.metrics import confusion, metrics_of
from orandnet_core.pseudo_mask import best_map, pseudo_mask
from orandnet_core.render import ERROR_NAMES, error_colours, error_map
from pages.components.fuse_setting import STATE, USUAL_PANES
from pages.components.viewer import Live, heat_pane, label_pane, packet
from pages.components.viewer_packet import dequantised, levels_of
from pages.components.viewer_scene import Scene, Source

SIZE_HW = (375, 500)
CLASS_IDS = np.array([3, 9, 15])
NAMES = tuple(f"class {k}" for k in range(1, 21))
MOVES = 120

# Every frame moves the slider and waits until that is painted; then as fast as frames come.
_MEASURE = """
const slider = name => root.querySelector(`input[type=range][data-control="${name}"]`)
const mask = () => {
  const text = Array.from(root.viewer.maskShown(), label => String.fromCharCode(label)).join("")
  return btoa(text)
}
async function way(name, low, high, moves) {
  const input = slider(name), toPaint = [], frames = [], work = []
  const set = n => {
    input.value = low + ((high - low) * (1 + Math.sin(n / 7))) / 2
    input.dispatchEvent(new Event("input", { bubbles: true }))
  }
  for (let n = 0; n < moves; n++) {
    const began = performance.now()
    set(n)
    await painted()
    toPaint.push(performance.now() - began)
  }
  let before = await frame()
  for (let n = 0; n < moves; n++) {
    set(n)
    const now = await frame()
    frames.push(now - before)
    before = now
  }
  await painted()
  return { toPaint, frames, mask: mask(), setting: JSON.parse(root.dataset.setting) }
}
answer.threshold = await way("t", 0.1, 0.6, MOVES)
answer.knob = await way("gamma_cnn", 0.5, 2.5, MOVES)
"""


def rows() -> Iterator[Row]:
    executable = chromium()
    if executable is None:
        print("viewer_frames: no Chromium found, left out (set ORANDNET_CHROMIUM)", file=sys.stderr)
        return
    photo, cnn, vit, truth = _image()
    sources = [Source("cnn", "CNN CAM", cnn, short="CNN"), Source("vit", "ViT CAM", vit, short="ViT")]
    scene = Scene(CLASS_IDS, NAMES, sources, truth)
    live = Live(scene, STATE.defaults(), STATE.described(), USUAL_PANES, layout="side")
    content = packet(photo, key="bench", live=live)
    answer = in_chromium(executable, content, _MEASURE.replace("MOVES", str(MOVES)))
    cnn, vit = (dequantised(levels_of(cam)) for cam in (cnn, vit))
    what = f"{len(USUAL_PANES)} panes of {SIZE_HW[0]} x {SIZE_HW[1]}, {len(CLASS_IDS)} classes"
    for way, moved in (("threshold", "the threshold"), ("knob", "an exponent")):
        seen = answer[way]
        setting = seen["setting"]
        theirs, mask = seconds_of(lambda setting=setting: _on_the_server(photo, cnn, vit, truth, setting), 5)
        same = b64decode(seen["mask"]) == mask.tobytes() and answer["sent"] == 0
        moves = f"viewer, {moved} moves, {what}"
        yield Row(f"{moves}, a frame, against 60 a second", _median_s(seen["frames"]), 1 / 60, same)
        yield Row(f"{moves}, input to paint, against the server", _median_s(seen["toPaint"]), theirs, same)


def _median_s(measured_ms: list[float]) -> float:
    return statistics.median(measured_ms) / 1000


def _on_the_server(
    photo: np.ndarray, cnn: np.ndarray, vit: np.ndarray, truth: np.ndarray, setting: dict
) -> np.ndarray:
    """The mask at a setting, on the way to the six panes' layers and figures as bytes."""
    knobs = {
        name: value
        for name, value in setting.items()
        if name.partition("_")[0] in ("offset", "gamma", "weight")
    }
    fused = fuse(cnn, vit, Fusion(setting["rule"], **knobs))
    masks = [
        pseudo_mask(cam, CLASS_IDS, at)
        for cam, at in ((cnn, setting["t_cnn"]), (vit, setting["t_vit"]), (fused, setting["t"]))
    ]
    for mask in masks:
        metrics_of(confusion(truth, mask, len(NAMES) + 1)).mean("iou")
    names = dict(enumerate(NAMES, 1)) | {IGNORE_INDEX: "ignored"}
    panes = [label_pane(f"mask-{n}", "", mask, names) for n, mask in enumerate((*masks, truth))]
    panes.append(heat_pane("fused", "", best_map(fused)[0], contour=setting["t"]))
    panes.append(label_pane("errors", "", error_map(truth, masks[2]), ERROR_NAMES, colours=error_colours()))
    packet(photo, panes, key="theirs")
    return masks[2]


def _image() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A photo (H, W, 3), two networks' maps (K, H, W) that half know what is there, and the truth (H, W)."""
    rng = np.random.default_rng(0)

    def smooth(cells: int) -> np.ndarray:
        grids = rng.random((len(CLASS_IDS), cells, cells + 1), np.float32)
        return np.stack([cv2.resize(grid, SIZE_HW[::-1], interpolation=cv2.INTER_CUBIC) for grid in grids])

    blobs = smooth(5)
    truth = np.where(blobs.max(0) > 0.75, CLASS_IDS[blobs.argmax(0)], 0).astype(np.uint8)
    maps = []
    for cells in (9, 14):
        cam = (0.6 * blobs + 0.4 * smooth(cells)).clip(0)
        maps.append(cam / cam.max(axis=(1, 2), keepdims=True))
    photo = cv2.resize(rng.integers(0, 256, (40, 50, 3), np.uint8), SIZE_HW[::-1])
    return photo, *maps, truth
