"""The one entry point: ranges, order, symmetry, errors, and a network given back as it was."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from orandnet_core.cams import METHODS, compute_cam, method_for, scales
from orandnet_core.cams.borrow import borrowed
from orandnet_core.errors import ConfigError, RangeError, ShapeError
from tests.orandnet_core.cams.conftest import make_cnn, make_vit

PAIRS = [(name, kind) for name, method in METHODS.items() for kind in method.kinds]


def make(kind: str):
    return make_cnn() if kind == "cnn" else make_vit()


def state_of(classifier: nn.Module) -> dict[str, object]:
    """All that a method might leave behind."""
    modules = dict(classifier.named_modules())
    return {
        "training": {name: module.training for name, module in modules.items()},
        "hooks": {
            name: len(module._forward_hooks) + len(module._forward_pre_hooks) + len(module._backward_hooks)
            for name, module in modules.items()
        },
        "attributes": {name: sorted(vars(module)) for name, module in modules.items()},
        "fused": {
            name: module.fused_attn for name, module in modules.items() if hasattr(module, "fused_attn")
        },
        "gradients": {
            name: (parameter.requires_grad, None if parameter.grad is None else parameter.grad.sum().item())
            for name, parameter in classifier.named_parameters()
        },
        "weights": {name: value.double().sum().item() for name, value in classifier.state_dict().items()},
    }


@pytest.mark.parametrize(("method", "kind"), PAIRS)
def test_shape_range_and_order(method, kind, image):
    classifier = make(kind)
    cam = compute_cam(classifier, image, np.array([1, 2, 4]), method, scales=(1.0, 1.5))
    assert cam.shape == (3, 50, 70)
    assert cam.dtype == np.float32
    assert np.isfinite(cam).all()
    assert cam.min() >= 0
    np.testing.assert_allclose(cam.max((1, 2)), 1)
    turned = compute_cam(classifier, image, [4, 1], method, scales=(1.0, 1.5))
    np.testing.assert_allclose(turned, cam[[2, 0]], atol=1e-4)


@pytest.mark.parametrize(("method", "kind"), PAIRS)
def test_the_mirrored_photograph_has_the_mirrored_cam(method, kind, image):
    classifier = make(kind)
    cam = compute_cam(classifier, image, [1, 3], method, flip=True)
    mirrored = compute_cam(classifier, np.ascontiguousarray(image[:, ::-1]), [1, 3], method, flip=True)
    np.testing.assert_allclose(mirrored[:, :, ::-1], cam, atol=2e-3)


@pytest.mark.parametrize(("method", "kind"), PAIRS)
def test_the_network_is_given_back_as_it_was(method, kind, image):
    classifier = make(kind)
    classifier.train()
    frozen = next(iter(classifier.backbone.children()))
    frozen.eval().requires_grad_(False)
    for parameter in classifier.parameters():
        parameter.grad = torch.full_like(parameter, 0.5)
    before = state_of(classifier)
    expected = compute_cam(make(kind), image, [2], method)
    np.testing.assert_allclose(compute_cam(classifier, image, [2], method), expected, atol=1e-5)
    assert state_of(classifier) == before


@pytest.mark.parametrize(("method", "kind"), PAIRS)
def test_the_network_is_given_back_after_an_error(method, kind, image):
    classifier = make(kind).train()
    last = classifier.head if kind == "cnn" else classifier.backbone.norm

    def break_off(_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("out of memory")

    last.forward = break_off
    before = state_of(classifier)
    with pytest.raises(RuntimeError, match="out of memory"):
        compute_cam(classifier, image, [2], method)
    assert state_of(classifier) == before
    del last.forward
    assert compute_cam(classifier, image, [2], method).max() == 1


@pytest.mark.parametrize(("method", "kind"), PAIRS)
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_where_gradients_are_switched_off(method, kind, context, image):
    classifier = make(kind)
    expected = compute_cam(classifier, image, [2], method)
    with context():
        np.testing.assert_allclose(compute_cam(classifier, image, [2], method), expected, atol=1e-5)


def test_sessions_share_a_network(image):
    """Grad-CAM hooks the layer that the others' forward passes go through, and all change train flags."""
    classifier = make_vit().train()
    photos = [np.roll(image, 7 * shift, 1) for shift in range(4)]
    jobs = [
        (photo, method)
        for photo in photos
        for method in ("grad_cam", "patch_cam", "transformer_attribution", "gradient_rollout")
    ]
    expected = [compute_cam(classifier, photo, [1, 2], method) for photo, method in jobs]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda job: compute_cam(classifier, job[0], [1, 2], job[1]), jobs))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    assert classifier.training
    assert classifier.backbone.blocks[0].training


def test_who_borrows_a_network_has_it_to_himself():
    network, other, seen = nn.Dropout(), nn.Dropout(), []

    def borrow(one: nn.Module, name: str) -> None:
        with borrowed(one):
            seen.append(name)

    with borrowed(network), borrowed(network):
        assert not network.training
        waiting = threading.Thread(target=borrow, args=(network, "waited"))
        waiting.start()
        free = threading.Thread(target=borrow, args=(other, "free"))
        free.start()
        free.join(10)
        assert seen == ["free"]
    waiting.join(10)
    assert seen == ["free", "waited"]
    assert network.training


def test_scales_are_summed(image):
    cnn = make_cnn()
    raw = [compute_cam(cnn, image, [2], "cam", scales=(scale,), normalise="minmax") for scale in (1.0, 2.0)]
    both = compute_cam(cnn, image, [2], "cam", scales=(1.0, 2.0), normalise="minmax")
    # A sum of two maps, each up to its own scale and offset, lies in their span and that of 1.
    basis = np.stack([raw[0].ravel(), raw[1].ravel(), np.ones(raw[0].size)], 1)
    solution, residual, *_ = np.linalg.lstsq(basis, both.ravel(), rcond=None)
    assert residual < 1e-6
    assert (solution[:2] > 0).all()


def test_cam_by_hand_over_scales_and_flip(image):
    """The definition, step by step: ReLU, sum over scales and mirror, divide by the maximum."""
    cnn = make_cnn()
    total = np.zeros((50, 70))
    photo = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    for size_hw in ((32, 32), (64, 64), (64, 96), (96, 128)):
        resized = nn.functional.interpolate(photo, size_hw, mode="bilinear", antialias=True)
        for mirrored in (False, True):
            view = resized.flip(3) if mirrored else resized
            with torch.no_grad():
                scores = cnn.class_maps((view - cnn.mean) / cnn.std)[:, 2:3].relu()
            scores = scores.flip(3) if mirrored else scores
            total += nn.functional.interpolate(scores, (50, 70), mode="bilinear")[0, 0].numpy()
    cam = compute_cam(cnn, image, [3], "cam", scales=(0.5, 1.0, 1.5, 2.0))
    np.testing.assert_allclose(cam[0], total / total.max(), atol=1e-4)


def test_a_map_without_a_unit_counts_the_same_at_every_scale(image):
    vit = make_vit("cls")
    maps = [compute_cam(vit, image, [1], "gradient_rollout", scales=(scale,)) for scale in (1.0, 2.0)]
    both = compute_cam(vit, image, [1], "gradient_rollout", scales=(1.0, 2.0))
    basis = np.stack([each.ravel() for each in maps], 1)
    weights, residual, *_ = np.linalg.lstsq(basis, both.ravel(), rcond=None)
    assert residual < 1e-6
    assert weights[0] == pytest.approx(weights[1], rel=0.2)


def test_minmax_stretches_and_relu_cuts(image):
    vit = make_vit("patch")
    nn.init.constant_(vit.patch_head.bias, -100)
    assert not compute_cam(vit, image, [1], "patch_cam").any()
    stretched = compute_cam(vit, image, [1], "patch_cam", normalise="minmax")
    assert (stretched.min(), stretched.max()) == (0, 1)


def test_a_flat_map_is_not_stretched(image):
    vit = make_vit("patch")
    nn.init.zeros_(vit.patch_head.weight)
    assert not compute_cam(vit, image, [1], "patch_cam", scales=(1.0, 1.7), normalise="minmax").any()


def test_output_size_and_long_side(image):
    cam = compute_cam(make_vit(), image, [1, 2], "patch_cam", long_side_px=128, output_hw=(13, 18))
    assert cam.shape == (2, 13, 18)


def test_a_large_photograph_is_reduced_and_every_scale_with_it(classifier, image, monkeypatch):
    """To a quarter of its pixels, as a long side of half its own does."""
    large = image.repeat(2, 0).repeat(2, 1)
    settings = {"scales": (0.5, 1.0, 2.0), "output_hw": (25, 35)}
    expected = compute_cam(classifier, large, [1, 3], "grad_cam", long_side_px=70, **settings)
    monkeypatch.setattr(scales, "MAX_PIXELS", 50 * 70)
    np.testing.assert_array_equal(compute_cam(classifier, large, [1, 3], "grad_cam", **settings), expected)


def test_a_phone_s_photograph_fits_into_memory():
    """Its 46,875 patches would take an attention of 35 GB."""
    photo = np.zeros((3000, 4000, 3), np.uint8)
    photo[1000:2000, 1000:3000] = 200
    cam = compute_cam(make_vit("cls"), photo, [1], "transformer_attribution", output_hw=(30, 40))
    assert cam.shape == (1, 30, 40)
    assert cam.max() == 1


@pytest.mark.parametrize("class_ids", [[], np.array([], np.int64), ()])
def test_no_class_no_map(classifier, image, class_ids):
    assert compute_cam(classifier, image, class_ids, "grad_cam").shape == (0, 50, 70)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"method": "cma"}, ConfigError, "'cma' is unknown; for a cnn: choose one of cam, grad_cam"),
        ({"method": "patch_cam"}, ConfigError, "'patch_cam' is not for a cnn"),
        (
            {"affinity_blocks": 1},
            ConfigError,
            "no option 'affinity_blocks'; it has normalise, affinity_steps",
        ),
        ({"method": "grad_cam", "layer": 3}, ConfigError, "layer takes <class 'str'>, got 3"),
        ({"normalise": "softmax"}, ConfigError, "choose one of"),
        ({"scales": ()}, ConfigError, "scales is empty"),
        ({"scales": (0.0,)}, RangeError, "must be positive"),
        ({"class_ids": [0, 1]}, RangeError, "knows 1 to 4"),
        ({"class_ids": [5]}, RangeError, "knows 1 to 4"),
        ({"class_ids": [1.5]}, ShapeError, "integers"),
        ({"class_ids": [[1]]}, ShapeError, "integers"),
        ({"image": np.zeros((5, 5), np.uint8)}, ShapeError, r"\(5, 5\) uint8"),
        ({"image": np.zeros((5, 5, 4), np.uint8)}, ShapeError, r"\(5, 5, 4\)"),
        ({"image": np.zeros((0, 5, 3), np.uint8)}, ShapeError, r"\(0, 5, 3\)"),
        ({"image": np.zeros((5, 5, 3), np.float32)}, ShapeError, "float32"),
    ],
)
def test_what_cannot_be_is_refused(change, error, words, image):
    arguments = {"image": image, "class_ids": [1], "method": "cam"} | change
    with pytest.raises(error, match=words):
        compute_cam(make_cnn(), **arguments)


@pytest.mark.parametrize("kind", ["cnn", "vit"])
def test_methods_by_kind(kind):
    classifier = make(kind)
    fitting = [name for name, method in METHODS.items() if kind in method.kinds]
    assert [method_for(name, classifier) for name in fitting] == [METHODS[name] for name in fitting]
    assert all(method.doc for method in METHODS.values())


def test_options_are_those_of_the_function():
    assert METHODS["cam"].options == {"affinity_steps": 0, "affinity_power": 4}
    assert METHODS["patch_cam"].options == {
        "affinity_steps": 0, "affinity": "attention", "affinity_blocks": None, "affinity_power": 4,
        "class_attention": False,
    }  # fmt: skip
    METHODS["patch_cam"].check(affinity_steps=2, affinity_blocks=None, normalise="minmax")
