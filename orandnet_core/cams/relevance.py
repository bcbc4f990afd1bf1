"""Layer-wise relevance propagation: rules that hand relevance from a layer's output to its input.

Chefer, Gur and Wolf, "Transformer Interpretability Beyond Attention Visualization", CVPR
2021, section 3.1. A rule is made once from what a layer saw and then applied to the
relevance of any number of classes. Activations, normalisations and layer scales work
element by element and hand relevance on unchanged, so they have no rule.

All tensors have the images first, (B, ...); relevance is conserved for each image: what a
rule returns sums to what it was given, within float32 rounding of the sum of magnitudes,
except where no input contributes to an output at all.
"""

from collections.abc import Callable

import torch
from torch import Tensor

# Below this a sum of contributions counts as none.
_NOTHING = 1e-9

Rule = Callable[[Tensor], Tensor]
PairRule = Callable[[Tensor], tuple[Tensor, Tensor]]


def linear_rule(inputs: Tensor, weight: Tensor) -> Rule:
    """Share an output's relevance among the inputs that raise it (equation 4).

    With contributions c_ij = x_j w_ij: R_j = sum_i max(c_ij, 0) / sum_j' max(c_ij', 0) R_i.
    The bias takes no share.

    Args:
        inputs: (B, ..., I) what the layer saw.
        weight: (O, I).

    Returns:
        A rule from (B, ..., O) to (B, ..., I).
    """
    raising, lowering = weight.clamp(min=0), weight.clamp(max=0)
    positive, negative = inputs.clamp(min=0), inputs.clamp(max=0)
    contributed = positive @ raising.T + negative @ lowering.T

    def rule(relevance: Tensor) -> Tensor:
        share = _ratio(relevance, contributed)
        return positive * (share @ raising) + negative * (share @ lowering)

    return rule


def matmul_rule(left: Tensor, right: Tensor) -> PairRule:
    """Share the relevance of a product of two matrices between both (equations 5 and 7).

    Args:
        left: (B, ..., n, m).
        right: (B, ..., m, p).

    Returns:
        A rule from (B, ..., n, p) to the relevance of `left` and of `right`.
    """
    product = left @ right

    def rule(relevance: Tensor) -> tuple[Tensor, Tensor]:
        share = _ratio(relevance, product)
        of_left = left * (share @ right.transpose(-1, -2))
        of_right = right * (left.transpose(-1, -2) @ share)
        return _balanced(of_left, of_right, relevance)

    return rule


def sum_rule(first: Tensor, second: Tensor) -> PairRule:
    """Share the relevance of a sum, such as a skip connection, between its terms (equations 5 and 7)."""
    total = first + second

    def rule(relevance: Tensor) -> tuple[Tensor, Tensor]:
        share = _ratio(relevance, total)
        return _balanced(first * share, second * share, relevance)

    return rule


def product_rule(relevance: Tensor) -> tuple[Tensor, Tensor]:
    """Share the relevance of `u * v`, element by element: u dy/du / y is 1, as for v, so half each."""
    return relevance / 2, relevance / 2


def _ratio(relevance: Tensor, total: Tensor) -> Tensor:
    return torch.where(total.abs() > _NOTHING, relevance / total, 0.0)


def _balanced(first: Tensor, second: Tensor, relevance: Tensor) -> tuple[Tensor, Tensor]:
    """Scale two parts so that together they sum to the relevance they came from (equation 7).

    Terms of opposite sign can each get far more than there was to share; the sums'
    magnitudes then decide what each keeps.
    """
    dims = tuple(range(1, relevance.ndim))
    sum_first = first.sum(tuple(range(1, first.ndim)))
    sum_second = second.sum(tuple(range(1, second.ndim)))
    magnitude = sum_first.abs() + sum_second.abs()
    scale = _ratio(relevance.sum(dims), magnitude)
    return _times(first, sum_first.sign() * scale), _times(second, sum_second.sign() * scale)


def _times(values: Tensor, factor_by_image: Tensor) -> Tensor:
    return values * factor_by_image.view(-1, *[1] * (values.ndim - 1))
