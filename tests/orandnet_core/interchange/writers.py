"""How other systems write their maps, from their public descriptions; each of one image."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from safetensors.numpy import save_file

from orandnet_core.store import CamStore, resize_maps, stored_hw
from tests.orandnet_core.interchange.conftest import CLASSES

Writer = Callable[[Path, str, np.ndarray, np.ndarray], None]


def _save(path: Path, value: object) -> None:
    np.save(path, value, allow_pickle=True)


def background(maps: np.ndarray) -> np.ndarray:
    return (1 - maps.max(axis=0, keepdims=True)).astype(np.float32)


def all_classes(maps: np.ndarray, class_ids: np.ndarray) -> np.ndarray:
    full = np.zeros((len(CLASSES), *maps.shape[1:]), np.float32)
    full[class_ids - 1] = maps
    return full


def irn(root, image_id, maps, class_ids):
    """Keys from 0 and the small maps as torch tensors, the large ones as an array."""
    small = torch.from_numpy(resize_maps(maps, stored_hw(maps.shape[1:])))
    _save(root / f"{image_id}.npy", {"keys": torch.from_numpy(class_ids - 1), "cam": small, "high_res": maps})


def orandnet(root, image_id, maps, class_ids):
    _save(root / f"{image_id}_1.npy", {"keys": class_ids - 1, "high_res": maps})


def clip_es(root, image_id, maps, class_ids):
    _save(root / f"{image_id}.npy", {"keys": class_ids - 1, "attn_highres": maps.astype(np.float16)})


def amn_keys(root, image_id, maps, class_ids):
    """As many keys as classes, one map more: background first."""
    stack = np.concatenate([background(maps), maps])
    _save(root / f"{image_id}.npy", {"keys": class_ids - 1, "high_res": stack})


def amn_padded(root, image_id, maps, class_ids):
    """Background among the keys as 0, classes from 1."""
    stack = np.concatenate([background(maps), maps])
    _save(root / f"{image_id}.npy", {"keys": np.array([0, *class_ids]), "high_res": stack})


def amn_all(root, image_id, maps, class_ids):
    """All C + 1 channels."""
    np.save(root / f"{image_id}.npy", np.concatenate([background(maps), all_classes(maps, class_ids)]))


def mctformer(root, image_id, maps, class_ids):
    _save(root / f"{image_id}.npy", {int(k) - 1: one for k, one in zip(class_ids, maps, strict=True)})


def every_key(root, image_id, maps, class_ids):
    """A dict with all classes of the data set, from 0."""
    _save(root / f"{image_id}.npy", dict(enumerate(all_classes(maps, class_ids))))


def psa_crf(root, image_id, maps, class_ids):
    """Background as 0, classes from 1."""
    by_class = {int(k): one for k, one in zip(class_ids, maps, strict=True)}
    _save(root / f"{image_id}.npy", {0: background(maps)[0]} | by_class)


def crf_present(root, image_id, maps, class_ids):
    """Background and the present classes, as a bare stack."""
    np.save(root / f"{image_id}.npy", np.concatenate([background(maps), maps]))


def bare_present(root, image_id, maps, class_ids):
    np.save(root / f"{image_id}.npy", maps)


def bare_all(root, image_id, maps, class_ids):
    np.save(root / f"{image_id}.npy", all_classes(maps, class_ids))


def batch_of_one(root, image_id, maps, class_ids):
    np.save(root / f"{image_id}.npy", all_classes(maps, class_ids)[None].astype(np.float64))


def channels_last(root, image_id, maps, class_ids):
    np.save(root / f"{image_id}.npy", all_classes(maps, class_ids).transpose(1, 2, 0))


def npz_names(root, image_id, maps, class_ids):
    np.savez_compressed(
        root / f"{image_id}.npz", **{CLASSES[k - 1]: one for k, one in zip(class_ids, maps, strict=True)}
    )


def npz_keys(root, image_id, maps, class_ids):
    np.savez(root / f"{image_id}.npz", keys=class_ids - 1, cam=maps)


def own_store(root, image_id, maps, class_ids):
    """A store of ours: class ids from 1, a quarter of the size."""
    CamStore(root).write(image_id, maps, class_ids, maps.shape[1:])


def safetensors_numbers(root, image_id, maps, class_ids):
    named = {str(k - 1): one for k, one in zip(class_ids.tolist(), maps, strict=True)}
    save_file(named, root / f"{image_id}.safetensors")


def png_below_id(root, image_id, maps, class_ids):
    (root / image_id).mkdir()
    for k, one in zip(class_ids, maps, strict=True):
        Image.fromarray((one * 255).round().astype(np.uint8)).save(root / image_id / f"{CLASSES[k - 1]}.png")


def png_below_class(root, image_id, maps, class_ids):
    for k, one in zip(class_ids, maps, strict=True):
        (root / str(k)).mkdir(exist_ok=True)
        Image.fromarray((one * 65535).round().astype(np.uint16)).save(root / str(k) / f"{image_id}.png")


def png_by_ending(root, image_id, maps, class_ids):
    for k, one in zip(class_ids, maps, strict=True):
        Image.fromarray((one * 255).round().astype(np.uint8)).save(root / f"{image_id}_{k - 1}.png")


def bytes_of_255(root, image_id, maps, class_ids):
    _save(root / f"{image_id}.npy", {"keys": class_ids - 1, "cam": (maps * 255).round().astype(np.uint8)})


def vit_grid(root, image_id, maps, class_ids):
    """24 x 24 tokens, whatever the photo's proportions."""
    grid = np.stack([cv2.resize(one, (24, 24), interpolation=cv2.INTER_AREA) for one in maps])
    _save(root / f"{image_id}.npy", {"keys": class_ids - 1, "cam": grid})


def transposed(root, image_id, maps, class_ids):
    _save(root / f"{image_id}.npy", {"keys": class_ids - 1, "cam": maps.transpose(0, 2, 1)})


def logits(root, image_id, maps, class_ids):
    _save(root / f"{image_id}.npy", {"keys": class_ids - 1, "cam": 12 * maps - 2})
