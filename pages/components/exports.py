"""What can be exported of a run, and the work itself: into a folder, or zipped for a download."""

import os
import shlex
import shutil
import threading
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import streamlit as st

from orandnet_core.datasets import Dataset
from orandnet_core.errors import DataError, StoreError
from orandnet_core.fusion import RULES, Fusion
from orandnet_core.mask_store import MaskStore
from pages.components.fuse_setting import current_setting
from pages.components.scores import NETWORKS, task_key
from pages.components.sources import store_label
from pages.components.tasks import Report
from train.config import Recipe, override
from train.export import GROUND_TRUTH, RUN_MASKS, TRIMAP, Exported, cam_source, export_run, exportable
from train.per_image import Made
from train.settings import FusionSetting, saved_settings
from train.sources import FUSION
from train.workspace import cache_dir, cam_stores, workspace_dir

__all__ = [
    "FUSE",
    "MOST_DOWNLOADED",
    "Wish",
    "export_to_folder",
    "export_to_zip",
    "setting_of",
    "source_labels",
    "suggested_folder",
    "wish_of",
]

FUSE = "fuse"  # the setting that the Fuse page has now
_SAVED = "saved: "

# Images that may be taken as a download, which goes through the server's memory; IRN's files are full-size.
MOST_DOWNLOADED = {"voc": 1000, "coco": 1000, "image-folder": 1000, "irn": 200}
_MOST_BYTES = 500 * 2**20
_ZIPS_KEPT = 4
_COMPRESSED = (".jpg", ".png")


@dataclass(frozen=True)
class Wish:
    """An export that somebody asks for.

    Attributes:
        exported: what.
        run, folder: whose.
        recipe: the run's, with the overrides.
        overrides: fields of the recipe that differ from the run's, as `--set` takes them.
        splits: of which images.
        dataset: whose images.
        setting: the fusion setting in a few words, where it is one.
    """

    exported: Exported
    run: str
    folder: Path
    recipe: Recipe
    overrides: Mapping[str, object]
    splits: tuple[str, ...]
    dataset: Dataset
    setting: str = ""

    @cached_property
    def images(self) -> dict[str, tuple[str, ...]]:
        """The images that there is something of, by split.

        Raises:
            ConfigError: the run has no such source.
        """
        source = cam_source(self.exported, self.recipe, self.folder)
        return {
            split: exportable(self.exported, self.dataset, self.folder, source, split)
            for split in self.splits
        }

    @cached_property
    def key(self) -> str:
        """Changes with everything that decides what is written."""
        source = cam_source(self.exported, self.recipe, self.folder)
        store = MaskStore(self.folder / RUN_MASKS)
        made_by = source.made_by() if source else store.card if self.exported.source == RUN_MASKS else ""
        data = [self.dataset.fingerprint(split) for split in self.splits]
        counts = [f"{split} {len(ids)}" for split, ids in self.images.items()]
        recipe = sorted(self.overrides.items())
        return task_key(repr(self.exported), str(self.folder), str(made_by), str(recipe), *data, *counts)

    @property
    def stem(self) -> str:
        """A name for files: what it is, and six digits of the key."""
        what = "fusion" if self.exported.source == FUSION else self.exported.source
        return f"{self.run}-{what}-{self.exported.format}-{self.key[:6]}"

    def command(self, out: Path) -> str:
        """The same in a shell."""
        exported = self.exported
        words = ["python", "-m", "train", "export", self.run, "--to", exported.format]
        words += ["--source", exported.source]
        for name, value in self.overrides.items():
            words += ["--set", f"{name}={value:.8g}" if isinstance(value, float) else f"{name}={value}"]
        for name in ("threshold", "or_threshold", "and_threshold"):
            if (value := getattr(exported, name)) is not None:
                words += [f"--{name.replace('_', '-')}", f"{value:.8g}"]
        words += ["--split", *self.splits]
        if exported.format == "coco":
            words += ["--segmentation", exported.segmentation]
        if not exported.photos:
            words.append("--no-photos")
        return shlex.join([*words, "--out", str(out)])


def source_labels(folder: Path, dataset: Dataset, split: str, *, masks: bool) -> dict[str, str]:
    """What a run has to export, by `--source` name or the name of a fusion setting.

    Args:
        split: where ground truth is looked for.
        masks: offer what has masks and no scores, too.
    """
    stores = cam_stores(folder)
    pair = set(NETWORKS) <= stores.keys()
    labels: dict[str, str] = {}
    if pair:
        labels[FUSE] = "As set on Fuse"
        labels |= {f"{_SAVED}{name}": f"Saved: {name}" for name in saved_settings()}
    if masks and (folder / RUN_MASKS / "card.json").is_file():
        labels[RUN_MASKS] = "Pseudo-masks of the run"
    labels |= {name: rule.label for name, rule in RULES.items() if pair or name in stores}
    labels |= {name: store_label(name) for name in stores if name not in RULES}
    if masks and _has_truth(dataset.fingerprint(split), dataset, split):
        labels[GROUND_TRUTH] = "Ground truth"
    return labels


def setting_of(key: str) -> FusionSetting | None:
    """The fusion setting that a key of `source_labels` means; None where it names a source."""
    if key == FUSE:
        return current_setting()
    return saved_settings().get(key.removeprefix(_SAVED)) if key.startswith(_SAVED) else None


def _told(setting: FusionSetting) -> str:
    """A setting in a few words."""
    if setting.trimap:
        return f"trimap, OR > {setting.or_threshold:.3f}, AND > {setting.and_threshold:.3f}"
    shaped = ", shaped" if setting.fusion != Fusion(setting.fusion.rule) else ""
    return f"{RULES[setting.fusion.rule].label}{shaped} > {setting.background_threshold:.3f}"


def wish_of(
    key: str, exported: Mapping[str, object], run: str, recipe: Recipe, folder: Path, dataset: Dataset,
    splits: Sequence[str],
) -> Wish:  # fmt: skip
    """The export of a source.

    Args:
        key: of `source_labels`.
        exported: the other fields of `Exported`.

    Raises:
        ConfigError: a setting that no recipe has, or a source that the run has not.
    """
    setting, changes = setting_of(key), {}
    if setting is None:
        wanted = Exported(source=key, **exported)
    elif setting.trimap and exported["format"] != "irn":
        wanted = Exported(
            source=TRIMAP, or_threshold=setting.or_threshold, and_threshold=setting.and_threshold, **exported
        )
    else:
        changes = _changes(setting, recipe)
        threshold = None if exported["format"] == "irn" else setting.background_threshold
        wanted = Exported(source=FUSION, threshold=threshold, **exported)
    words = _told(setting) if setting else ""
    return Wish(wanted, run, folder, override(recipe, changes), changes, tuple(splits), dataset, words)


def suggested_folder(wish: Wish) -> Path:
    """Where an export goes if nobody says otherwise: in the workspace, another folder for another export."""
    return workspace_dir() / "exports" / wish.stem


def export_to_folder(wish: Wish, out: Path, report: Report) -> Made:
    """`train.export.export_run`, for the thread of a task."""
    return export_run(wish.exported, wish.recipe, wish.dataset, wish.folder, wish.splits, out, report)


def export_to_zip(wish: Wish, report: Report) -> tuple[Made, Path]:
    """Export, and zip it into the cache, where the last few stay.

    Raises:
        DataError: it is more than goes through a browser.
        StoreError: the disk refuses.
    """
    root = cache_dir() / "exports"
    out = root / f"{wish.stem}-{threading.get_ident()}"
    try:
        made = export_to_folder(wish, out, report)
        path = root / f"{wish.stem}.zip"
        _zip(out, wish.stem, path, report)
    finally:
        shutil.rmtree(out, ignore_errors=True)
    for old in sorted(root.glob("*.zip"), key=os.path.getmtime)[:-_ZIPS_KEPT]:
        old.unlink(missing_ok=True)
    return made, path


@st.cache_data(ttl=60, max_entries=64, show_spinner=False)
def _has_truth(fingerprint: str, _dataset: Dataset, split: str) -> bool:
    return any(map(_dataset.has_mask, _dataset.image_ids(split)))


def _changes(setting: FusionSetting, recipe: Recipe) -> dict[str, object]:
    """The fusion fields of a recipe that a setting changes, without thresholds."""
    return {
        name: value
        for name, value in replace(setting, trimap=False).as_overrides().items()
        if name != "fusion.background_threshold"
        and getattr(recipe.fusion, name.removeprefix("fusion.")) != value
    }


def _zip(folder: Path, inside: str, path: Path, report: Report) -> None:
    files = sorted(each for each in folder.rglob("*") if each.is_file())
    size = sum(each.stat().st_size for each in files)
    if size > _MOST_BYTES:
        raise DataError(
            f"{size / 2**20:,.0f} MB are too much for a download (the most is {_MOST_BYTES / 2**20:,.0f}): "
            "export to a folder instead"
        )
    partial_path = path.with_name(f".{path.name}-{threading.get_ident()}")
    try:
        with zipfile.ZipFile(partial_path, "w") as file:
            for done, each in enumerate(files, 1):
                packed = zipfile.ZIP_STORED if each.suffix in _COMPRESSED else zipfile.ZIP_DEFLATED
                file.write(each, Path(inside) / each.relative_to(folder), packed)
                report(done, len(files))
        partial_path.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error})") from None
    finally:
        partial_path.unlink(missing_ok=True)
