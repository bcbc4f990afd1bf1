"""The stages of a run, in one table: what each reads, what decides it, where its outputs lie.

A stage's **key** is a hash of all that decides its outputs: its part of the recipe, its code, the
seed, the images, and the keys of the stages it reads. Two runs of the same key make the same files,
so what has the key it had is not run again. No torch is needed to know any of it.
"""

import ast
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from orandnet_core.datasets import Dataset
from orandnet_core.errors import ConfigError
from train.config import IrnConfig, Recipe, SegmentConfig, to_dict
from train.inputs import ground_truth, imported_maps, masks_to_learn_from
from train.sources import stages_read
from train.workspace import ROOT

Names = Callable[[Recipe], tuple[str, ...]]
Inputs = Callable[[Recipe, Dataset, Path], dict[str, str]]

# Fields that change how fast a stage is, not what it makes.
IDLE_FIELDS = ("workers",)

TRIMAP = "trimap"  # of `ir_labels.source`: AND and OR together


def _always(*names: str) -> Names:
    return lambda recipe: names


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of a run; it writes below `run_dir/<name>`, and nowhere else but to `stores`.

    Attributes:
        name: on the command line, in folders and in `metrics.jsonl`.
        title: on screen.
        function: `module:name` of what runs it, called as `f(recipe, *arguments, dataset, run_dir)`.
        arguments: such as the source, `cnn` or `vit`.
        reads: the stages whose outputs go in.
        parts: fields of the recipe that decide it, whole or by path such as `fusion.rule`.
        splits: the splits whose images it takes; where it trains, on the first.
        takes: what no stage makes and goes in as well, each with its identity; see `train.inputs`.
        weights: (network, where its starting weights come from), for each network that it begins
            with; those of the run's own CNN (`cnn`) are of a stage that it reads.
        modules: their source is the stage's code; a package stands for all in it.
        result: the file in its folder that is there when it is done; empty where `stores` are all.
        stores: CAM stores that it fills outside its folder, by their folder's name.
        training: field of the recipe with its `epochs` and `batch_size`; empty where it trains nothing.
    """

    name: str
    title: str
    function: str
    arguments: tuple[str, ...] = ()
    reads: Names = _always()
    parts: Names
    splits: Names
    takes: Inputs = lambda recipe, dataset, run_dir: {}
    weights: Callable[[Recipe], tuple[tuple[str, str], ...]] = _always()
    modules: tuple[str, ...]
    result: str = ""
    stores: tuple[str, ...] = ()
    training: str = ""

    def config(self, recipe: Recipe) -> dict[str, Any]:
        """What of the recipe decides the stage: JSON values by path, such as `cnn.epochs`."""
        parts = self.parts(recipe)
        return {
            path: value
            for path, value in flat(recipe).items()
            if any(path == part or path.startswith(f"{part}.") for part in parts)
            and path.rpartition(".")[2] not in IDLE_FIELDS
        }

    def code(self) -> dict[str, str]:
        """A hash of each of its modules' code, by module."""
        return {module: code_version(module) for module in self.modules}

    def folders(self, run_dir: Path) -> tuple[Path, ...]:
        """Everything that it writes."""
        return (run_dir / self.name, *(run_dir / name for name in self.stores))

    def is_there(self, run_dir: Path) -> bool:
        """Whether its result lies in the run's folder."""
        stores = (run_dir / name / "card.json" for name in self.stores)
        return (run_dir / self.name / self.result).exists() and all(path.exists() for path in stores)

    def reports_as(self, name: str) -> bool:
        """Whether it is this stage that says so in `metrics.jsonl`: its name, a store's, or a part of it."""
        return name in (self.name, *self.stores) or name.startswith(f"{self.name}-")


def stage(name: str) -> Stage:
    """The stage of that name.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    try:
        return STAGES[name]
    except KeyError:
        raise ConfigError(f"no stage {name!r}: choose one of {', '.join(STAGES)}") from None


def stage_of(name: str) -> Stage | None:
    """Which stage reports under a name of `metrics.jsonl`; None for something else."""
    return STAGES.get(name) or next((each for each in STAGES.values() if each.reports_as(name)), None)


def run_order(recipe: Recipe) -> list[Stage]:
    """All stages, each after those it reads, otherwise as in the table.

    Raises:
        ConfigError: some read each other.
    """
    placed: dict[str, Stage] = {}
    while left := [each for each in STAGES.values() if each.name not in placed]:
        ready = next((each for each in left if placed.keys() >= set(each.reads(recipe))), None)
        if ready is None:
            names = ", ".join(each.name for each in left)
            raise ConfigError(f"{names}: one reads the other and the other the one; change a source")
        placed[ready.name] = ready
    return list(placed.values())


def flat(recipe: Recipe) -> dict[str, Any]:
    """A recipe's values, as JSON gives them back, by path."""
    return flat_values(json.loads(json.dumps(to_dict(recipe))))


@cache
def code_version(module: str) -> str:
    """Twelve hex digits that change with what a module or package does.

    Comments, docstrings and layout do not count; nothing is imported.
    """
    place = ROOT.joinpath(*module.split("."))
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    digest = hashlib.sha256()
    for file in files:
        digest.update(
            f"{file.relative_to(place.parent)}\n{_bare(file.read_text(encoding='utf-8'))}\n".encode()
        )
    return digest.hexdigest()[:12]


def _bare(source: str) -> str:
    """Source without comments and docstrings, laid out in one way."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def flat_values(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by path, such as `cnn.epochs`."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= (
            flat_values(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
        )
    return found


# --- The table. ---

_DATA = ("orandnet_core.datasets.base", "orandnet_core.datasets.images")
_TRAINING = (*_DATA, "train.loop", "train.training", "train.checkpoints", "orandnet_core.weights")
_MAPS = (*_DATA, "train.sources", "train.cam_pairs", "orandnet_core.fusion", "orandnet_core.store")
_KNOBS = tuple(
    f"fusion.{knob}_{source}" for knob in ("offset", "gamma", "weight") for source in ("cnn", "vit")
)


def _cam_splits(recipe: Recipe) -> tuple[str, ...]:
    return tuple(dict.fromkeys(recipe.data.cam_splits))


def _first_split(recipe: Recipe) -> tuple[str, ...]:
    return recipe.data.cam_splits[:1]


def _reads_source(part: str, *others: str) -> Names:
    """The other stages, and those that make the maps which `<part>.source` names."""
    return lambda recipe: (*others, *stages_read(_source(recipe, part)))


def _takes_source(part: str) -> Inputs:
    """The maps which `<part>.source` names, where no stage makes them."""
    return lambda recipe, dataset, run_dir: imported_maps(_source(recipe, part), run_dir)


def _source(recipe: Recipe, part: str) -> str:
    source = getattr(recipe, part).source
    return "and" if source == TRIMAP else source


def _with_fusion(part: str, *more: str) -> Names:
    """A part of the recipe, and the fusion where the part's source is fused by it."""

    def parts(recipe: Recipe) -> tuple[str, ...]:
        source = getattr(recipe, part).source
        fused = len(stages_read(source)) > 1  # a trimap is of plain AND and OR
        return (part, *more, *(("fusion.rule", *_KNOBS) if fused else ()))

    return parts


def _classify(source: str, title: str) -> Stage:
    def weights(recipe: Recipe) -> tuple[tuple[str, str], ...]:
        config = recipe.classifier(source)
        taught = config.teacher not in ("", "cnn")
        return ((config.model, config.weights), *([("teacher", config.teacher)] if taught else []))

    return Stage(
        name=f"classify-{source}",
        title=f"Train the {title}",
        function="train.classify:classify",
        arguments=(source,),
        reads=lambda recipe: ("classify-cnn",) if recipe.classifier(source).teacher == "cnn" else (),
        parts=_always(source),
        splits=lambda recipe: (recipe.data.train_split,),
        weights=weights,
        modules=(
            *_TRAINING, "train.classify", "train.photos", "train.teacher", "orandnet_core.backbones",
            "orandnet_core.cams.output_stride",
        ),
        result="classifier.safetensors",
        training=source,
    )  # fmt: skip


def _cams(source: str, title: str) -> Stage:
    return Stage(
        name=f"cams-{source}",
        title=f"{title} CAMs",
        function="train.cams:cams",
        arguments=(source,),
        reads=_always(f"classify-{source}"),
        parts=_always(f"{source}_cams"),
        splits=_cam_splits,
        modules=(
            *_DATA,
            "train.cams",
            "orandnet_core.backbones",
            "orandnet_core.cams",
            "orandnet_core.store",
            "orandnet_core.weights",
        ),
        result="card.json",
    )


def _own_cnn(config: IrnConfig | SegmentConfig) -> tuple[str, ...]:
    return ("classify-cnn",) if config.weights == "cnn" else ()


def _reads_masks(recipe: Recipe) -> tuple[str, ...]:
    masks = ("masks",) if recipe.segment.masks == "masks" else ()
    return (*masks, *_own_cnn(recipe.segment))


def _masks_parts(recipe: Recipe) -> tuple[str, ...]:
    takes_the_fusions = recipe.masks.background_threshold is None
    return _with_fusion("masks", *(["fusion.background_threshold"] if takes_the_fusions else []))(recipe)


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        _classify("cnn", "CNN"),
        _classify("vit", "ViT"),
        _cams("cnn", "CNN"),
        _cams("vit", "ViT"),
        Stage(
            name="refine",
            title="Refine",
            function="train.refine:refine",
            reads=_always("cams-cnn", "cams-vit"),
            parts=_always("refine", *_KNOBS),
            splits=_cam_splits,
            weights=lambda recipe: (("vgg16", recipe.refine.weights),),
            modules=(
                *_TRAINING, "train.refine", "train.cam_pairs", "train.map_crops",
                "orandnet_core.refiner", "orandnet_core.fusion", "orandnet_core.store",
            ),
            result="refiner.safetensors",
            stores=("cams-refine",),
            training="refine",
        ),
        Stage(
            name="crf",
            title="Dense CRF",
            function="train.crf:crf",
            reads=_reads_source("crf"),
            takes=_takes_source("crf"),
            parts=_with_fusion("crf"),
            splits=_cam_splits,
            modules=(*_MAPS, "train.crf", "orandnet_core.crf"),
            stores=("cams-crf",),
        ),
        Stage(
            name="ir-labels",
            title="IR labels",
            function="train.ir_labels:ir_labels",
            reads=_reads_source("ir_labels"),
            takes=_takes_source("ir_labels"),
            parts=_with_fusion("ir_labels"),
            splits=_first_split,
            modules=(
                *_MAPS, "train.ir_labels", "orandnet_core.ir_labels", "orandnet_core.pseudo_mask",
                "orandnet_core.crf",
            ),
            result="card.json",
        ),
        Stage(
            name="irn",
            title="Train the IRN",
            function="train.irn:irn",
            reads=lambda recipe: ("ir-labels", *_own_cnn(recipe.irn)),
            parts=_always("irn"),
            splits=_first_split,
            weights=lambda recipe: ((recipe.irn.model, recipe.irn.weights),),
            modules=(
                *_TRAINING, "train.irn", "train.pairs", "orandnet_core.irn", "orandnet_core.backbones",
                "orandnet_core.mask_scaling",
            ),
            result="network.safetensors",
            training="irn",
        ),
        Stage(
            name="walk",
            title="Random walk",
            function="train.walk:walk",
            reads=_reads_source("walk", "irn"),
            takes=_takes_source("walk"),
            parts=_with_fusion("walk"),
            splits=_cam_splits,
            modules=(*_MAPS, "train.walk", "orandnet_core.irn", "orandnet_core.weights"),
            stores=("cams-walk",),
        ),
        Stage(
            name="masks",
            title="Pseudo-masks",
            function="train.masks:masks",
            reads=_reads_source("masks"),
            takes=_takes_source("masks"),
            parts=_masks_parts,
            splits=_first_split,
            modules=(*_MAPS, "train.masks", "orandnet_core.pseudo_mask", "orandnet_core.crf"),
            result="card.json",
        ),
        Stage(
            name="segment",
            title="Train the segmentation",
            function="train.segment:segment",
            reads=_reads_masks,
            parts=_always("segment"),
            splits=_first_split,
            takes=masks_to_learn_from,
            weights=lambda recipe: (
                ((recipe.segment.encoder, recipe.segment.weights),) if recipe.segment.weights != "cnn" else ()
            ),
            modules=(
                *_TRAINING, "train.segment", "train.training_masks", "train.pairs", "train.curriculum",
                "orandnet_core.segmentation", "orandnet_core.segmentation_loss", "orandnet_core.mask_scaling",
                "orandnet_core.backbones",
            ),
            result="network.safetensors",
            training="segment",
        ),
        Stage(
            name="evaluate",
            title="Evaluate",
            function="train.evaluate:evaluate",
            reads=_always("segment"),
            parts=_always("evaluate"),
            splits=lambda recipe: recipe.evaluate.splits,
            takes=ground_truth,
            modules=(
                *_DATA, "train.evaluate", "train.predictions", "orandnet_core.segmentation",
                "orandnet_core.crf", "orandnet_core.metrics", "orandnet_core.weights",
            ),
            result="result.json",
        ),
    )
}  # fmt: skip
