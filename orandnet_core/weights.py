"""Weights: where a backbone's come from, and files that say which network they belong to."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import timm
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from timm.models import VisionTransformer
from torch import nn

from orandnet_core.array_files import replacing
from orandnet_core.errors import StoreError, WeightsError

__all__ = ["build_backbone", "load_described", "save_described", "weights_identity"]

Network = TypeVar("Network", bound=nn.Module)


def build_backbone(model: str, weights: str | Path = "none", **options: Any) -> nn.Module:
    """A timm network without its classifier.

    Args:
        model: timm name.
        weights: where the weights come from: `hub` (timm downloads them), `none` (random), a
            safetensors file, or a folder with a file `<model>.safetensors`; a model without a tag also
            takes `<model>.<tag>.safetensors` where there is one alone. Those of the classifier are
            left out.
        options: of `timm.create_model`.

    Raises:
        WeightsError: the weights cannot be found or do not fit.
        TypeError: the network takes no such option.
    """
    weights = str(weights)
    try:
        backbone = timm.create_model(model, pretrained=weights == "hub", num_classes=0, **options)
    except TypeError:
        raise
    except Exception as error:  # the hub's client raises many kinds when it is out of reach
        if weights != "hub":
            raise
        raise WeightsError(
            f"the weights of {model} could not be downloaded ({type(error).__name__}: {error}). "
            + _three_ways(model)
        ) from error
    if weights not in ("hub", "none"):
        _load_backbone(backbone, model, _find_weights(model, Path(weights)))
    return backbone


def weights_identity(model: str, weights: str | Path) -> str:
    """What the starting weights are, whatever folder they lie in: `hub`, `none`, or a hash of the file.

    Raises:
        WeightsError: the weights cannot be found.
    """
    if str(weights) in ("hub", "none"):
        return str(weights)
    with _find_weights(model, Path(weights)).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def save_described(
    path: Path, network: nn.Module, kind: str, description: dict[str, Any], *, half: bool = False
) -> None:
    """Write a network to one safetensors file, atomically.

    Args:
        kind: what `load_described` asks for.
        description: JSON values from which the network can be built.
        half: store float16, for release; training continues from checkpoints, not from here.

    Raises:
        StoreError: the disk refuses.
    """
    dtype = torch.float16 if half else torch.float32
    state = {
        name: (value.to(dtype) if value.is_floating_point() else value).contiguous().cpu()
        for name, value in network.state_dict().items()
    }
    try:
        with replacing(path) as partial:
            save_file(state, partial, metadata={kind: json.dumps(description)})
    except (SafetensorError, OSError) as error:
        raise StoreError(
            f"{path}: the weights cannot be written ({error}). Free some disk space and run the same "
            "command again"
        ) from None


def load_described(
    path: Path, kind: str, what: str, command: str, build: Callable[[dict[str, Any]], Network]
) -> Network:
    """Rebuild a network from a file of `save_described`, in float32 and in evaluation mode.

    Args:
        kind: as it was saved.
        what: the word for messages, such as `classifier`.
        command: what makes such a file, for messages.
        build: makes the network that a description is of.

    Raises:
        WeightsError: the file is missing, damaged, or holds something else, such as a network that only
            another version knows.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        state = load_file(path)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file; train it with `{command}`") from None
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: not a readable safetensors file ({error})") from None
    if kind not in metadata:
        raise WeightsError(f"{path}: holds no {what} of this package (no {kind!r} in its header)")
    try:
        network = build(json.loads(metadata[kind]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # ConfigError is a ValueError
        raise WeightsError(
            f"{path}: this version cannot build the {what} that it describes ({error}); "
            f"train it with `{command}`"
        ) from None
    state = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(f"{path}: does not fit the {what} that it describes ({error})") from None
    return network.eval()


def _find_weights(model: str, path: Path) -> Path:
    if path.is_file():
        return path
    if path.is_dir():
        named = path / f"{model}.safetensors"
        found = [named] if named.is_file() else sorted(path.glob(f"{model}.*.safetensors"))
        if len(found) > 1:
            tagged = ", ".join(file.stem for file in found)
            raise WeightsError(f"{path} holds several weights of {model}: name the model as one of {tagged}")
        if found:
            return found[0]
    raise WeightsError(f"no weights of {model} at {path}. {_three_ways(model)}")


def _load_backbone(backbone: nn.Module, model: str, path: Path) -> None:
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: not a readable safetensors file ({error})") from None
    heads = backbone.pretrained_cfg.get("classifier") or ()
    heads = (heads,) if isinstance(heads, str) else heads
    state = {
        name: value.float() if value.is_floating_point() else value
        for name, value in state.items()
        if not any(name.startswith(f"{head}.") for head in heads)
    }
    if isinstance(backbone, VisionTransformer):
        state = timm.models.vision_transformer.checkpoint_filter_fn(state, backbone)
    try:
        backbone.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(f"{path}: does not fit {model} ({error})") from None


def _three_ways(model: str) -> str:
    return (
        "Weights come from one of three places: 'hub' (needs internet access), a safetensors file, "
        f"or a folder that holds {model}.safetensors; 'none' trains from nothing"
    )
