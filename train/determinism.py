"""`--deterministic`: the same numbers every time, on a GPU too, at the price of speed."""

import os

import torch
from timm.layers import resample_abs_pos_embed
from timm.models import vision_transformer
from torch import Tensor
from torch.nn import functional as F


def make_deterministic() -> None:
    """Take only algorithms whose sums come in the same order each time; one that has none raises.

    `python -m train` says then which operation it was. On one CPU with the same number of threads the
    numbers are the same without this.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS is first used
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    # On a GPU bicubic resampling has no such gradient, which a ViT needs that learns at another size.
    vision_transformer.resample_abs_pos_embed = resampled_position_embedding


def resampled_position_embedding(
    embedding: Tensor,
    new_size: tuple[int, int],
    old_size: tuple[int, int] | None = None,
    num_prefix_tokens: int = 1,
    **options: object,
) -> Tensor:
    """timm's `resample_abs_pos_embed`; where a gradient is needed, as two products with fixed matrices.

    Args:
        embedding: (1, prefix + h w, D), its grid `old_size`, (h, w).
        new_size: (H, W).

    Returns:
        (1, prefix + H W, D), equal to timm's up to rounding.
    """
    learns = embedding.requires_grad and torch.is_grad_enabled()
    if not learns or old_size is None or tuple(old_size) == tuple(new_size):
        return resample_abs_pos_embed(embedding, new_size, old_size, num_prefix_tokens, **options)
    prefix, grid = embedding[:, :num_prefix_tokens], embedding[:, num_prefix_tokens:]
    rows, columns = (
        _bicubic(old, new).to(embedding.device) for old, new in zip(old_size, new_size, strict=True)
    )
    with torch.autocast(embedding.device.type, enabled=False):  # timm's is in float32, too
        resampled = torch.einsum("Yy,Xx,byxd->bYXd", rows, columns, grid.float().unflatten(1, old_size))
    return torch.cat([prefix, resampled.flatten(1, 2).to(prefix.dtype)], 1)


def _bicubic(old: int, new: int) -> Tensor:
    """(new, old): what each old cell counts for in each new one."""
    unit = torch.eye(old)[None, None]
    return F.interpolate(unit, (new, old), mode="bicubic", antialias=True)[0, 0]
