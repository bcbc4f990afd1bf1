"""The Complement page against the core: the table, what is reached, and what it says of itself."""

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from orandnet_core.class_rules import CANDIDATES, cross_validated
from orandnet_core.complement import complement
from orandnet_core.datasets import Dataset
from orandnet_core.fusion import RULES, Fusion
from orandnet_core.metrics.thresholds import oracle
from orandnet_core.scoring import score_pair, store_source
from orandnet_core.store import CamStore
from tests.pages.opening import captions, opened, settled

PAGE = "analysis/complement.py"
pytestmark = pytest.mark.usefixtures("workspace")


def table(app: AppTest):
    return next(frame.value for frame in app.dataframe if "Trust" in frame.value.columns)


def test_the_page_says_what_the_core_says(app: AppTest, workspace: Path, sample: Dataset):
    page = opened(app, PAGE, complement_at="Oracle")
    stores = [CamStore(workspace / "runs" / "sample" / f"cams-{name}") for name in ("cnn", "vit")]
    cnn, vit = (store_source(s, n) for s, n in zip(stores, ("cnn", "vit"), strict=True))
    fusions = {name: Fusion(name) for name in CANDIDATES if name not in ("cnn", "vit")}
    scored = score_pair(sample, "train", cnn, vit, fusions)
    choices = tuple(oracle(scored.scores[name].counts) for name in ("cnn", "vit"))
    found = complement(sample, "train", (cnn, vit), choices)
    rules = cross_validated(sample, "train", cnn, vit, scored)
    shown = table(page)
    assert shown["Trust"].tolist() == [("–", "CNN", "ViT")[who + 1] for who in found.trust]
    assert shown["IoU CNN"].to_numpy() == pytest.approx(100 * found.metrics[0].iou, nan_ok=True)
    assert shown["IoU, bound"].to_numpy() == pytest.approx(100 * found.bound.iou, nan_ok=True)
    assert shown["Suggested rule"].tolist()[1:] == [RULES[rule].label for rule in rules.suggested.rules]
    assert shown["IoU of it ×"].to_numpy() == pytest.approx(100 * rules.per_class.iou, nan_ok=True)
    figure = json.loads(page.get("plotly_chart")[0].proto.spec)
    reached = {trace["xaxis"]: dict(zip(trace["y"], trace["x"], strict=True)) for trace in figure["data"]}
    assert reached["x3"]["Upper bound of picking"] == pytest.approx(found.bound.mean_iou)
    assert reached["x3"]["A rule for each class ×"] == pytest.approx(rules.per_class.mean_iou)
    assert reached["x3"]["AND"] == pytest.approx(
        scored.scores["and"].at(oracle(scored.scores["and"].counts))[0].mean_iou
    )
    assert f"Both label **{found.agree:.1%}**" in captions(page)
    assert f"**{rules.per_class.mean_iou:.1%}** mIoU against" in page.info[0].value


def test_any_two_sources_and_not_one_twice(app: AppTest):
    page = opened(app, PAGE, complement_first="OR", complement_second="AND")
    assert "Suggested rule" not in table(page).columns
    assert "Choose the CNN and the ViT" in captions(page)
    page.selectbox(key="complement_second").set_value("or").run()
    settled(page)
    assert "two different sources" in page.info[0].value
