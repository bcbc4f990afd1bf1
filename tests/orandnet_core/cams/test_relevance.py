"""Relevance rules against values worked out by hand, and their sums against what went in."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from orandnet_core.cams.relevance import linear_rule, matmul_rule, product_rule, sum_rule


def test_linear_by_hand():
    inputs = torch.tensor([[1.0, -2.0]])
    weight = torch.tensor([[3.0, -1.0], [4.0, 5.0]])
    # Contributions x_j w_ij: [3, 2] to the first output, [4, -10] to the second, whose -10 gets nothing.
    relevance = linear_rule(inputs, weight)(torch.tensor([[10.0, 6.0]]))
    torch.testing.assert_close(relevance, torch.tensor([[10 * 3 / 5 + 6, 10 * 2 / 5]]))


def test_linear_hands_negative_relevance_on():
    relevance = linear_rule(torch.tensor([[2.0, 1.0]]), torch.tensor([[1.0, 2.0]]))(torch.tensor([[-8.0]]))
    torch.testing.assert_close(relevance, torch.tensor([[-4.0, -4.0]]))


def test_an_output_that_nothing_raises_hands_nothing_on():
    relevance = linear_rule(torch.tensor([[1.0, 2.0]]), torch.tensor([[-1.0, -1.0]]))(torch.tensor([[5.0]]))
    torch.testing.assert_close(relevance, torch.zeros(1, 2))


def test_sum_by_hand():
    first, second = torch.tensor([[1.0, 3.0]]), torch.tensor([[3.0, 1.0]])
    # Shares 1/4 and 3/4 of 8, 3/4 and 1/4 of 4: sums 5 and 7, which already make 12.
    of_first, of_second = sum_rule(first, second)(torch.tensor([[8.0, 4.0]]))
    torch.testing.assert_close(of_first, torch.tensor([[2.0, 3.0]]))
    torch.testing.assert_close(of_second, torch.tensor([[6.0, 1.0]]))


def test_sum_of_opposite_terms_by_hand():
    # 4 / 1 and -3 / 1 of 7 are 28 and -21: |28| / 49 and |-21| / 49 of 7 are left, 4 and 3.
    of_first, of_second = sum_rule(torch.tensor([[4.0]]), torch.tensor([[-3.0]]))(torch.tensor([[7.0]]))
    torch.testing.assert_close(of_first, torch.tensor([[4.0]]))
    torch.testing.assert_close(of_second, torch.tensor([[3.0]]))


def test_matmul_by_hand():
    left, right = torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[3.0], [1.0]]])
    # The product is 3 + 2 = 5; both factors get 3/5 and 2/5 of 10, and of that one half.
    of_left, of_right = matmul_rule(left, right)(torch.tensor([[[10.0]]]))
    torch.testing.assert_close(of_left, torch.tensor([[[3.0, 2.0]]]))
    torch.testing.assert_close(of_right, torch.tensor([[[3.0], [2.0]]]))


def test_product_by_hand():
    of_first, of_second = product_rule(torch.tensor([[4.0, -2.0]]))
    torch.testing.assert_close(of_first, torch.tensor([[2.0, -1.0]]))
    torch.testing.assert_close(of_second, of_first)


def total(values: Tensor) -> Tensor:
    return values.flatten(1).sum(1)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_every_rule_conserves_relevance_for_each_image(seed):
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    relevance = random(2, 3, 5)
    inputs, weight = random(2, 3, 8), random(5, 8)
    inputs[..., 0], weight[:, 0] = 1, 1  # something raises every output
    handed_on = linear_rule(inputs, weight)(relevance)
    torch.testing.assert_close(total(handed_on), total(relevance), rtol=0, atol=1e-8)
    for rule in (sum_rule(random(2, 3, 5), random(2, 3, 5)), matmul_rule(random(2, 3, 4), random(2, 4, 5))):
        first, second = rule(relevance)
        torch.testing.assert_close(total(first) + total(second), total(relevance), rtol=0, atol=1e-8)


@pytest.mark.parametrize("rule", [sum_rule, matmul_rule])
def test_an_image_does_not_depend_on_its_neighbours(rule):
    generator = torch.Generator().manual_seed(3)
    first, second, relevance = (torch.randn(2, 4, 4, generator=generator) for _ in range(3))
    together = rule(first, second)(relevance)
    alone = rule(first[1:], second[1:])(relevance[1:])
    for part, expected in zip(together, alone, strict=True):
        torch.testing.assert_close(part[1:], expected)


def test_nothing_in_gives_nothing_out():
    zeros = torch.zeros(1, 2, 2)
    for part in (*sum_rule(zeros, zeros)(zeros), *matmul_rule(zeros, zeros)(zeros)):
        assert not part.any()
    assert not linear_rule(zeros, torch.zeros(2, 2))(torch.ones(1, 2, 2)).any()
