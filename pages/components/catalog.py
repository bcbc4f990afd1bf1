"""Which data sets and runs there are, read from the workspace without opening an image."""

import json
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from orandnet_core.array_files import write_atomically
from orandnet_core.errors import ConfigError
from orandnet_core.scenes import is_sample
from pages.components.selection import DatasetRef
from train.workspace import cam_stores, run_dir, run_names, sample_dir, workspace_dir

SAMPLE = "scenes"


@dataclass(frozen=True)
class RunRef:
    """A run, and what the sidebar needs to know of it.

    Attributes:
        name: the folder's name.
        folder: where it lies.
        data_kind, data_root: the data set it was made on, as its config.json says; the root is
            empty for the built-in sample.
    """

    name: str
    folder: Path
    data_kind: str
    data_root: str

    @property
    def stores(self) -> dict[str, Path]:
        """The CAM stores by source; `cnn` and `vit` among them once both are made."""
        return cam_stores(self.folder)


def datasets() -> dict[str, DatasetRef]:
    """By name: the built-in sample first, then what was added by hand, then what runs were made on."""
    refs = [DatasetRef(SAMPLE, "scenes", sample_dir()), *added_datasets()]
    for run in runs():
        if run.data_root:
            root = Path(run.data_root)
            name = root.name if run.data_kind in ("auto", "folder") else run.data_kind
            refs.append(DatasetRef(name, run.data_kind, root))
    by_root: dict[Path, DatasetRef] = {}
    for ref in refs:
        by_root.setdefault(ref.root.resolve(), ref)
    named: dict[str, DatasetRef] = {}
    for ref in by_root.values():
        named[ref.name if ref.name not in named else f"{ref.name} ({ref.root})"] = ref
    return named


def dataset_of(run: RunRef) -> DatasetRef:
    """The data set that a run was made on."""
    root = Path(run.data_root or sample_dir())
    known = {ref.root.resolve(): ref for ref in datasets().values()}
    return known.get(root.resolve(), DatasetRef(root.name, run.data_kind, root))


def is_missing_sample(ref: DatasetRef) -> bool:
    """Whether this is the built-in sample and it has not been drawn yet."""
    return ref.kind == "scenes" and not is_sample(ref.root)


def added_datasets() -> list[DatasetRef]:
    """Data sets that were added by folder (`workspace/datasets.json`)."""
    try:
        rows = json.loads(_added_path().read_text(encoding="utf-8"))
        return [DatasetRef(row["name"], row["kind"], Path(row["root"])) for row in rows]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # none yet, or a file that somebody wrote by hand: the sample is always there


def add_dataset(ref: DatasetRef) -> None:
    """Remember a data set; the name that its folder was added under before is given up.

    Raises:
        ConfigError: it is the sample, or another folder has the name.
        StoreError: the disk refuses.
    """
    root = ref.root.resolve()
    if root == sample_dir().resolve():
        raise ConfigError(f"{ref.root} is the built-in sample, which is there as {SAMPLE!r}: choose it")
    taken = datasets().get(ref.name)
    if taken is not None and taken.root.resolve() != root:
        raise ConfigError(f"the name {ref.name!r} is taken by {taken.root}: give {ref.root} another name")
    _write_added([*(other for other in added_datasets() if other.root.resolve() != root), ref])


def remove_dataset(ref: DatasetRef) -> None:
    """Forget a data set that was added; its files stay."""
    _write_added([other for other in added_datasets() if other != ref])


def _write_added(refs: list[DatasetRef]) -> None:
    rows = [{"name": ref.name, "kind": ref.kind, "root": str(ref.root)} for ref in refs]
    write_atomically(_added_path(), json.dumps(rows, indent=2).encode())


@st.cache_data(ttl=3, max_entries=4, show_spinner=False)
def _runs_in(workspace: str) -> list[RunRef]:
    found = []
    for name in run_names():
        folder = run_dir(name)
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))["data"]
            found.append(RunRef(name, folder, config["kind"], config["root"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a run that was only just launched has no config yet
    return found


def forget() -> None:
    """Look at the disk again at the next call: a run has just come or gone."""
    _runs_in.clear()


def runs() -> list[RunRef]:
    """All runs, the newest first; at most three seconds old, so that a job's results appear by themselves."""
    return _runs_in(str(workspace_dir()))


def runs_on(dataset: DatasetRef) -> list[RunRef]:
    """The runs that were made on a data set; those with CAMs of both networks first, the newest first."""
    root = dataset.root.resolve()
    matching = [run for run in runs() if Path(run.data_root or sample_dir()).resolve() == root]
    return sorted(matching, key=lambda run: {"cnn", "vit"} - run.stores.keys() != set())


def _added_path() -> Path:
    return workspace_dir() / "datasets.json"
