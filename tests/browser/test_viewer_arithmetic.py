"""What the browser computes from the maps is what the core computes, pixel for pixel and bit for bit."""

from base64 import b64decode, b64encode

import numpy as np
import pytest
from playwright.sync_api import Page

from orandnet_core.disagreement import disagreement_map
from orandnet_core.fusion import RULES, Fusion, fuse, reference_fusion
from orandnet_core.metrics import confusion, metrics_of
from orandnet_core.pseudo_mask import best_map, pseudo_mask, trimap
from orandnet_core.render import error_map
from pages.components.viewer import SCRIPT_DIR
from pages.components.viewer_packet import dequantised, levels_of

pytestmark = pytest.mark.browser

CASES = 200
PURE = ("fusion.js", "masks.js", "metrics.js")

_HARNESS = """
const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0))
const text = array => {
  const all = new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
  let out = ""
  for (let at = 0; at < all.length; at += 8192) out += String.fromCharCode(...all.subarray(at, at + 8192))
  return btoa(out)
}
function answer(asked) {
  const { cnn, vit, truth, ids, fusion, classId, inside, pixels } = asked
  const { threshold, orThreshold, andThreshold } = asked
  const maps = packed => {
    const all = new Uint16Array(bytes(packed).buffer)
    return ids.map((_, k) => all.subarray(k * pixels, (k + 1) * pixels))
  }
  const [a, b] = [maps(cnn), maps(vit)]
  const mask = (found, at) => pseudoMask(found.best, found.index, ids, at, new Uint8Array(pixels))
  const fused = bestFused(a, b, fusion, pixels)
  const [or, and, cnnBest, vitBest] = ["or", "and", "cnn", "vit"].map(
    rule => bestFused(a, b, { ...PLAIN, rule }, pixels),
  )
  const whole = mask(fused, threshold), wanted = bytes(truth)
  const undecided = trimap(or, and, ids, orThreshold, andThreshold, new Uint8Array(pixels))
  const masks = [mask(cnnBest, orThreshold), mask(vitBest, andThreshold)]
  const pixel = pixels >> 1
  return {
    best: text(fused.best), index: text(fused.index), mask: text(whole), trimap: text(undecided),
    scores: text(Float32Array.from(scoresAt(a, b, fusion, fused.peaks, pixel))),
    errors: text(errorMap(wanted, undecided, classId, new Uint8Array(pixels))),
    found: text(disagreementMap(...masks, wanted, classId, new Uint8Array(pixels))),
    foundBlind: text(disagreementMap(...masks, null, classId, new Uint8Array(pixels))),
    metrics: scoresOf(countPixels(wanted, undecided, bytes(inside)), classId),
    decided: decidedShare(wanted, undecided, bytes(inside)),
  }
}
"""


@pytest.fixture(scope="module")
def page(browser) -> Page:
    page = browser.new_page()
    page.add_script_tag(content="".join((SCRIPT_DIR / name).read_text() for name in PURE) + _HARNESS)
    yield page
    page.close()


def random_case(rng: np.random.Generator) -> dict:
    """Maps with plateaus (so that classes tie), all rules, knobs turned or not."""
    size_hw = tuple(rng.integers(1, 40, 2))
    ids = np.sort(rng.choice(np.arange(1, 255), rng.integers(0, 5), replace=False))
    steps = rng.choice([3, 17, 2000])
    cnn, vit = rng.integers(0, steps + 1, (2, len(ids), *size_hw)) / np.float32(steps)
    if rng.random() < 0.1 and len(ids):
        cnn[0] = 0  # a class that one network does not see
    if rng.random() < 0.2:
        fusion = reference_fusion(str(rng.choice(["or", "and"])))
    else:
        knobs = {}
        if rng.random() < 0.7:
            for network in ("cnn", "vit"):
                knobs |= {
                    f"offset_{network}": float(rng.choice([0, rng.uniform(-0.5, 0.5)])),
                    f"gamma_{network}": float(rng.choice([1, 0.5, 2, rng.uniform(0.1, 4)])),
                    f"weight_{network}": float(rng.choice([1, 0, rng.uniform(0, 3)])),
                }
        fusion = Fusion(str(rng.choice(list(RULES))), **knobs)
    truth = rng.choice(np.array([0, 255, 7, *ids], np.uint8), size_hw)
    return {
        "cnn": levels_of(cnn),
        "vit": levels_of(vit),
        "ids": ids,
        "fusion": fusion,
        "truth": truth,
        "thresholds": rng.integers(0, 257, 3) / 256,
        "class_id": None if rng.random() < 0.5 or not len(ids) else int(rng.choice(ids)),
        "inside": rng.random(size_hw) < rng.choice([0.0, 0.5, 1.0]),
    }


def asked(case: dict) -> dict:
    def text(array: np.ndarray) -> str:
        return b64encode(np.ascontiguousarray(array).tobytes()).decode()

    at, or_at, and_at = map(float, case["thresholds"])
    return {
        **{name: text(case[name]) for name in ("cnn", "vit", "truth")},
        "inside": text(case["inside"].astype(np.uint8)),
        "ids": case["ids"].tolist(), "fusion": case["fusion"].as_dict(), "threshold": at,
        "orThreshold": or_at, "andThreshold": and_at, "classId": case["class_id"] or 0,
        "pixels": case["truth"].size,
    }  # fmt: skip


def on_a_score(case: dict) -> dict:
    """Move the first threshold onto a score that a pixel has: "greater" must not become "at least"."""
    best, _ = best_map(fuse(dequantised(case["cnn"]), dequantised(case["vit"]), case["fusion"]))
    case["thresholds"][0] = min(float(best.ravel()[best.size // 2]), 1.0)
    return case


def test_the_browser_and_the_core_agree_on_200_random_cases(page: Page):
    rng = np.random.default_rng(11)
    cases = [random_case(rng) for _ in range(CASES)]
    cases = [on_a_score(case) if number % 2 else case for number, case in enumerate(cases)]
    answers = page.evaluate("cases => cases.map(answer)", [asked(case) for case in cases])
    assert len(answers) == CASES
    for case, answer in zip(cases, answers, strict=True):
        compare(case, answer)


def compare(case: dict, answer: dict) -> None:
    ids, truth, class_id = case["ids"], case["truth"], case["class_id"]
    at, or_at, and_at = map(float, case["thresholds"])

    def got(name: str, kind: type = np.uint8) -> np.ndarray:
        return np.frombuffer(b64decode(answer[name]), kind).reshape(truth.shape)

    cnn, vit = dequantised(case["cnn"]), dequantised(case["vit"])
    fused = fuse(cnn, vit, case["fusion"])
    best, index = best_map(fused)
    np.testing.assert_array_equal(got("best", np.float32), best, err_msg=str(case["fusion"]))
    np.testing.assert_array_equal(got("index"), index)
    np.testing.assert_array_equal(got("mask"), pseudo_mask(fused, ids, at))
    middle = fused.reshape(len(ids), truth.size)[:, truth.size // 2]
    np.testing.assert_array_equal(np.frombuffer(b64decode(answer["scores"]), np.float32), middle)
    maps = [fuse(cnn, vit, Fusion(rule)) for rule in ("or", "and")]
    undecided = trimap(*maps, ids, or_at, and_at)
    np.testing.assert_array_equal(got("trimap"), undecided)
    np.testing.assert_array_equal(got("errors"), error_map(truth, undecided, class_id))
    masks = pseudo_mask(cnn, ids, or_at), pseudo_mask(vit, ids, and_at)
    np.testing.assert_array_equal(got("found"), disagreement_map(*masks, truth, class_id))
    np.testing.assert_array_equal(got("foundBlind"), disagreement_map(*masks, None, class_id))
    scored = np.where((undecided == 255) | ~case["inside"], 255, truth)
    metrics = metrics_of(confusion(scored, np.where(undecided == 255, 0, undecided), 255))
    for name in ("precision", "recall", "iou"):
        each = getattr(metrics, name)
        expected = metrics.mean(name) if class_id is None else each[class_id]
        value = answer["metrics"][name]
        assert (np.nan if value is None else value) == pytest.approx(expected, abs=1e-12, nan_ok=True), name
    counted = (truth != 255) & case["inside"]
    expected = np.mean(undecided[counted] != 255) if counted.any() else np.nan
    value = answer["decided"]
    assert (np.nan if value is None else value) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("seed", range(5))
def test_a_polygon_holds_the_pixels_whose_middle_it_holds(page: Page, seed: int):
    rng = np.random.default_rng(seed)
    width, height = 23, 17
    points = (rng.random((rng.integers(3, 8), 2)) * (width + 6, height + 6) - 3).round(3)
    found = page.evaluate(
        "([points, width, height]) => Array.from(polygonMask(points, width, height))",
        [points.tolist(), width, height],
    )
    expected = [[_holds(points, x + 0.5, y + 0.5) for x in range(width)] for y in range(height)]
    assert np.array_equal(np.reshape(found, (height, width)), expected)


def _holds(points: np.ndarray, x: float, y: float) -> bool:
    """A ray to the right crosses the outline an odd number of times."""
    crossed = 0
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if (y0 <= y) != (y1 <= y):
            crossed += x0 + (y - y0) / (y1 - y0) * (x1 - x0) > x
    return crossed % 2 == 1


def test_shares_count_what_is_seen(page: Page):
    labels, inside = [0, 1, 1, 255, 8, 1], [1, 1, 0, 1, 1, 1]
    shares = page.evaluate(
        "([labels, inside]) => labelShares(Uint8Array.from(labels), Uint8Array.from(inside))",
        [labels, inside],
    )
    assert [shares[0], shares[1], shares[8]] == [0.25, 0.5, 0.25]
    above = page.evaluate("shareAbove(Float32Array.of(0.2, 0.5, 0.7, 0.9), 0.5)")
    assert above == 0.5
