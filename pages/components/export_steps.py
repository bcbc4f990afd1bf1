"""The way out: what, of which images, in which format, and where to."""

from functools import partial
from pathlib import Path

import streamlit as st

from orandnet_core.datasets import Dataset
from orandnet_core.errors import OrandnetError
from orandnet_core.interchange.exporting import is_free
from pages.components.exports import (
    FUSE,
    MOST_DOWNLOADED,
    Wish,
    export_to_folder,
    export_to_zip,
    setting_of,
    source_labels,
    suggested_folder,
    wish_of,
)
from pages.components.failed_images import show_failed
from pages.components.fuse_setting import STATE
from pages.components.going import go_to
from pages.components.scores import task_key
from pages.components.selection import Selection
from pages.components.tasks import result_or_progress, task_board
from pages.components.view_controls import DEFAULT_THRESHOLD
from train.export import GROUND_TRUTH, RUN_MASKS
from train.import_maps import recipe_of_run
from train.per_image import Made
from train.workspace import cams_dir

__all__ = ["OUT", "WAY_KEY", "export_button", "show_way_out"]

OUT, WAY_KEY = "Export", "way"

_FORMATS = {"voc": "VOC", "coco": "COCO", "image-folder": "Hugging Face", "irn": "IRN"}
_ABOUT = {
    "voc": "A devkit of palette PNGs, 255 kept, as `torchvision.datasets.VOCSegmentation` reads it.",
    "coco": "An annotation a class and image; 255 is kept in the image's record. For `pycocotools`.",
    "image-folder": "Photographs, palette PNGs and `metadata.jsonl`, for `load_dataset(\"imagefolder\")`.",
    "irn": "CAMs, not masks: a `.npy` dict `{keys, cam, high_res}` an image, for IRN and its successors.",
}  # fmt: skip
_SEGMENTATIONS = {"rle": "Run lengths", "polygons": "Polygons"}
_FOLDER, _DOWNLOAD = "A folder on the server", "A download"


def export_button() -> None:
    """On Fuse: open the way out with the setting that the page has now."""
    if st.button("Export", icon=":material/output:", help="Writes masks of this setting, or its CAMs."):
        go_to("analysis/exchange.py", **{WAY_KEY: OUT, "out_source": FUSE})


@st.fragment
def show_way_out(selection: Selection, dataset: Dataset) -> None:
    """Draw it all, from the choice of a format to the result."""
    if selection.run is None:
        st.info(
            f"No run on **{selection.dataset.name}** yet: start one with *Launch training*, or import CAMs.",
            title="Nothing to export",
            icon=":material/layers_clear:",
        )
        return
    try:
        wish = choose(selection, dataset)
        if wish is not None and say_found(wish):
            export(wish, sum(map(len, wish.images.values())))
    except OrandnetError as error:
        st.warning(str(error), title="This cannot be exported", icon=":material/error:")


def choose(selection: Selection, dataset: Dataset) -> Wish | None:
    """Draw the choice of format, source, threshold and splits; None while one is missing."""
    to = st.segmented_control(
        "Format", list(_FORMATS), default="voc", key="out_format", bind="query-params", required=True,
        format_func=_FORMATS.get,
    )  # fmt: skip
    st.caption(_ABOUT[to])
    exported: dict[str, object] = {"format": to}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        labels = source_labels(selection.run_dir, dataset, selection.split, masks=to != "irn")
        if not labels:
            st.info(f"**{selection.run}** has no CAMs and no masks yet.", icon=":material/layers_clear:")
            return None
        keys = list(labels)
        source = st.selectbox(
            "What", keys, key="out_source", bind="query-params", format_func=labels.get, width=380
        )
        source = source if source in labels else keys[0]
        setting = setting_of(source)
        if setting is None and to != "irn" and source not in (RUN_MASKS, GROUND_TRUTH):
            exported["threshold"] = st.slider(
                "Background threshold", 0.0, 1.0, DEFAULT_THRESHOLD, 1 / 256, key="out_t",
                bind="query-params", format="%.3f", width=240,
                help="A pixel is foreground where its best map is greater.",
            )  # fmt: skip
        splits = st.multiselect(
            "Splits", list(dataset.splits), default=[selection.split], width=240,
            key=f"out_splits {selection.dataset.name} {selection.split}",  # follows the sidebar
        )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        if to == "coco":
            exported["segmentation"] = st.segmented_control(
                "Regions as", list(_SEGMENTATIONS), default="rle", key="out_regions", required=True,
                format_func=_SEGMENTATIONS.get, label_visibility="collapsed",
            )  # fmt: skip
        if to in ("voc", "coco"):
            exported["photos"] = st.toggle("Photographs too", value=True, key="out_photos")
    if not splits:
        st.caption("Choose a split to export.")
        return None
    if source == FUSE:
        STATE.to_address()  # a link to this export has the setting, too
    _say_whose(selection, source)
    recipe = recipe_of_run(selection.run_dir, None)
    return wish_of(source, exported, selection.run, recipe, selection.run_dir, dataset, splits)


def say_found(wish: Wish) -> bool:
    """How many images there is something of; whether there is any."""
    if not any(wish.images.values()):
        st.info(
            f"The run has it of none of the images of {', '.join(wish.splits)}.",
            icon=":material/layers_clear:",
        )
        return False
    counts = [
        f"{len(ids):,} of {len(wish.dataset.image_ids(split)):,} images of {split}"
        for split, ids in wish.images.items()
    ]
    st.caption(" · ".join([*([wish.setting] if wish.setting else []), *counts]))
    return True


def export(wish: Wish, found: int) -> None:
    """Draw where to, do it with progress, and say what came of it."""
    where = _FOLDER
    if found <= (most := MOST_DOWNLOADED[wish.exported.format]):
        where = st.segmented_control(
            "Where to", (_FOLDER, _DOWNLOAD), default=_FOLDER, key="out_where", bind="query-params",
            required=True,
        )  # fmt: skip
    else:
        st.caption(f"More than {most:,} images go to a folder on the server, not through the browser.")
    if where == _DOWNLOAD:
        _download(wish, found)
    else:
        _to_folder(wish, found)


def _to_folder(wish: Wish, found: int) -> None:
    suggested = suggested_folder(wish)
    typed = st.text_input(
        "New folder", key="out_folder", placeholder=str(suggested), width=720,
        help="On the machine that the app runs on. Left empty, the one that is shown.",
    ).strip()  # fmt: skip
    out = Path(typed).expanduser() if typed else suggested
    if not out.is_absolute():
        st.warning(f"`{typed}`: give the whole path, from the root.", icon=":material/folder_off:")
        return
    key = task_key("export", wish.key, str(out))
    if task_board().find(key) is None and not is_free(out):
        st.warning(
            f"`{out}` is there already and not empty: name another folder, or delete it.",
            title="Exported before" if out == suggested else "Taken",
            icon=":material/folder_off:",
        )
        return
    made: Made | None = result_or_progress(
        key,
        f"Exporting to {out.name}",
        partial(export_to_folder, wish, out),
        ask=f"Export {found:,} images",
        is_there=lambda made: out.exists(),
    )
    if made is not None:
        st.success(
            f"{made.made:,} images, with `manifest.json` and `sha256sums.txt`, in `{out}`",
            title="Exported", icon=":material/check_circle:",
        )  # fmt: skip
        show_failed(made.reasons)
    _say_command(wish, out)


def _download(wish: Wish, found: int) -> None:
    key = task_key("zip", wish.key)
    zipped = result_or_progress(
        key,
        f"Packing {wish.stem}",
        partial(export_to_zip, wish),
        ask=f"Pack {found:,} images",
        is_there=lambda zipped: zipped[1].exists(),
    )
    if zipped is not None:
        made, path = zipped
        st.download_button(
            f"Download {path.name} ({path.stat().st_size / 2**20:,.1f} MB)", path.read_bytes, path.name,
            "application/zip", on_click="ignore", type="primary", icon=":material/download:",
        )  # fmt: skip
        show_failed(made.reasons)
    _say_command(wish, Path(wish.stem))


def _say_command(wish: Wish, out: Path) -> None:
    st.caption("The same in a shell:")
    st.code(wish.command(out), language="shell", wrap_lines=True)


def _say_whose(selection: Selection, source: str) -> None:
    """The sidebar may put another store in a network's place; an export takes the run's own."""
    own = {name: cams_dir(selection.run_dir, name) for name in ("cnn", "vit")}
    shown = {"cnn": selection.cnn_store, "vit": selection.vit_store}
    if source not in (RUN_MASKS, GROUND_TRUTH) and any(shown[name] not in (None, own[name]) for name in own):
        st.caption(
            f":material/info: Exported are the CAMs of **{selection.run}** itself, whatever stands for its "
            "networks under *Sources* in the sidebar."
        )
