"""A store belongs to the settings that filled it; its card says which."""

import shutil
from typing import Any

from orandnet_core.datasets import Dataset
from orandnet_core.errors import StoreError
from orandnet_core.mask_store import MaskStore
from orandnet_core.store import CamStore
from train.ranks import rank_and_ranks


def claim(store: CamStore | MaskStore, card: dict[str, Any], *, anew: bool = False) -> None:
    """Write the store's card, unless the store holds what was made in another way.

    The processes of one launch all call it and agree: the first one clears and writes.

    Args:
        card: JSON values; its `splits` are {split: fingerprint}, and a store may get one split
            after the other.
        anew: throw away what was made in another way.

    Raises:
        StoreError: the store holds others, and not `anew`.
    """
    before = store.card if (store.root / "card.json").exists() else {}
    # A store may get one split after the other; all else must stay as it was.
    others = sorted(
        name
        for name in (before.keys() | card.keys()) - {"splits", "recipe"}
        if before and before.get(name) != _as_json(card.get(name))
    )
    if others and not anew:
        raise StoreError(
            f"{store.root} holds what was made with another {', '.join(others)}: "
            "add --anew to throw them away, or take another --run-dir"
        )
    _wait_for_others()  # all have looked, and found the same
    if rank_and_ranks()[0] == 0:
        if others:
            shutil.rmtree(store.root)
        else:
            card = card | {"splits": before.get("splits", {}) | card["splits"]}
        store.write_card(card)
    _wait_for_others()


def in_order(store: CamStore, dataset: Dataset, image_id: str) -> bool:
    """Whether the store has readable CAMs of the classes that the image's labels name."""
    labels = dataset.image_labels_by_id.get(image_id)
    return labels is not None and store.validates(image_id, dataset.class_ids(image_id))


def _wait_for_others() -> None:
    if rank_and_ranks()[1] > 1:
        from train import together  # torch, which one process does without

        together.wait()


def _as_json(value: Any) -> Any:
    """A value as it comes back from JSON: tuples are lists there."""
    if isinstance(value, dict):
        return {name: _as_json(each) for name, each in value.items()}
    return [_as_json(each) for each in value] if isinstance(value, tuple | list) else value
