"""The refiner: aligned to a cell at any size, losses by hand, weights and files, and that it can learn."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from orandnet_core import refiner as module
from orandnet_core.errors import ConfigError, ShapeError, WeightsError
from orandnet_core.fusion import and_cam, or_cam
from orandnet_core.refiner import (
    LOSSES,
    RefinerNetwork,
    build_refiner,
    load_refiner,
    photo_cells,
    refine_cam,
    refiner_loss,
    save_refiner,
    softmax_reference_loss,
)


class TinyVgg(nn.Module):
    """VGG-16's plan, thirteen convolutions and five poolings, six channels wide."""

    def __init__(self):
        super().__init__()
        layers, before = [], 3
        for convolutions in (2, 2, 3, 3, 3):
            for _ in range(convolutions):
                layers += [nn.Conv2d(before, 6, 3, padding=1), nn.ReLU(inplace=True)]
                nn.init.kaiming_normal_(layers[-2].weight)
                before = 6
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.pre_logits = nn.Module()
        self.pre_logits.fc1, self.pre_logits.fc2 = nn.Conv2d(6, 6, 7), nn.Conv2d(6, 6, 1)


@pytest.fixture
def tiny_vgg(monkeypatch):
    monkeypatch.setattr(module, "build_backbone", lambda model, weights: TinyVgg())


@pytest.fixture(params=["small", "fcn8s"])
def architecture(request, tiny_vgg):
    return request.param


def built(architecture: str, **more):
    """A refiner in evaluation mode, none of whose layers is silent."""
    torch.manual_seed(0)
    refiner = build_refiner(RefinerNetwork(architecture=architecture, **more)).eval()
    for name, parameter in refiner.named_parameters():
        if name.startswith(("score", "change")) and parameter.ndim == 4:
            nn.init.normal_(parameter, std=0.5)
    return refiner


def looking_straight_down(refiner):
    """Without FCN's window of 7 x 7 coarsest cells, whose answer would reach the borders of small maps."""
    if hasattr(refiner, "linear"):
        window = refiner.linear[0].weight.data
        centre = window[..., 3, 3].clone()
        window.zero_()
        window[..., 3, 3] = centre
    return refiner


def bumps(count: int, side: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """OR and AND of two networks that see the same spot; one sees it wider, and another that is not there."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]

    def bump(centre: np.ndarray, radius: float) -> np.ndarray:
        return np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (2 * radius**2))

    cnn, vit = [], []
    for _ in range(count):
        centre, radius = rng.uniform(0.3, 0.7, 2) * side, rng.uniform(0.1, 0.2) * side
        nothing = rng.uniform(0, 1, 2) * side
        cnn.append(bump(centre, radius))
        vit.append(np.maximum(bump(centre, 1.5 * radius), 0.6 * bump(nothing, 0.05 * side)))
    cnn, vit = np.array(cnn, np.float32), np.array(vit, np.float32)
    return or_cam(cnn, vit), and_cam(cnn, vit)


# Alignment


@pytest.mark.parametrize("hw", [(1, 1), (5, 7), (31, 33), (32, 64), (47, 95)])
@pytest.mark.parametrize("guidance", [False, True])
def test_the_output_has_the_size_of_the_input(architecture, hw, guidance):
    refiner = built(architecture, guidance=guidance)
    photos = torch.zeros(2, 3, *hw, dtype=torch.uint8)
    with torch.no_grad():
        assert refiner(torch.rand(2, 1, *hw), photos).shape == (2, 1, *hw)


@pytest.mark.parametrize("beyond", [(0, 0), (1, 3), (7, 29)])
def test_an_impulse_is_answered_where_it_is(architecture, beyond):
    """Of a network without sides, over places on both sides of a coarsest cell: on average exactly there."""
    refiner = looking_straight_down(built(architecture))
    for parameter in refiner.parameters():
        parameter.data.fill_(4 / parameter[0].numel() if parameter.ndim == 4 else 0)
    stride = refiner.stride
    height, width = (13 * stride + more for more in beyond)
    half = torch.arange(0, stride // 2, stride // 8)
    place = 6 * stride + torch.cat([half, stride - 1 - half])
    maps = torch.zeros(len(place), 1, height, width)
    maps[torch.arange(len(place)), 0, place, place] = 1
    with torch.no_grad():
        answers = (refiner(maps) - refiner(torch.zeros_like(maps)))[:, 0].double()
    for answer, axis in ((answers.sum(2), torch.arange(height)), (answers.sum(1), torch.arange(width))):
        found = (answer * axis).sum(1) / answer.sum(1)
        assert (found - place).abs().max() < stride
        assert (found - place).mean().abs() < 0.02


@pytest.mark.parametrize("beyond", [(0, 0), (1, 3), (7, 29)])
def test_a_shifted_map_gives_the_shifted_answer(architecture, beyond):
    """Shifted by one coarsest cell, away from the borders, to rounding."""
    refiner = looking_straight_down(built(architecture))
    stride = refiner.stride
    height, width = (13 * stride + more for more in beyond)
    patch = torch.rand(stride, stride, generator=torch.Generator().manual_seed(1))
    maps = torch.zeros(2, 1, height, width)
    for k, top in enumerate((6 * stride + 1, 7 * stride + 1)):
        maps[k, 0, top : top + stride, top : top + stride] = patch
    with torch.no_grad():
        before, after = refiner(maps)[:, 0]
    near, moved = slice(5 * stride, 7 * stride), slice(6 * stride, 8 * stride)
    assert before[near, near].std() > 1e-3
    torch.testing.assert_close(after[moved, moved], before[near, near], atol=1e-5, rtol=1e-4)


def test_a_mirrored_network_gives_the_mirrored_answer(architecture):
    """Nothing leans to one side: at whole multiples of the stride, mirroring commutes."""
    refiner, mirror = built(architecture), built(architecture)
    with torch.no_grad():
        for parameter in mirror.parameters():
            if parameter.ndim == 4:
                parameter.copy_(parameter.flip(3))
        maps = torch.rand(2, 1, 64, 96)
        assert refiner(maps).std() > 1e-3
        torch.testing.assert_close(mirror(maps.flip(3)), refiner(maps).flip(3), atol=1e-5, rtol=1e-4)


@settings(max_examples=10)
@given(st.integers(1, 40), st.integers(1, 40))
def test_zeros_at_the_right_and_the_bottom_change_nothing_up_to_the_stride(height, width):
    refiner = built("small")
    maps = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(height))
    padded = F.pad(maps, (0, -width % 8, 0, -height % 8))
    with torch.no_grad():
        torch.testing.assert_close(refiner(maps), refiner(padded)[..., :height, :width])


# Inputs


def test_guidance_changes_the_answer_and_its_absence_is_refused(architecture):
    refiner = built(architecture, guidance=True)
    maps = torch.rand(1, 1, 32, 32)
    dark, bright = (torch.full((1, 3, 32, 32), value, dtype=torch.uint8) for value in (0, 255))
    with torch.no_grad():
        assert not torch.allclose(refiner(maps, dark), refiner(maps, bright))
    with pytest.raises(ShapeError, match=r"photos are None; .* takes \(1, 3, 32, 32\)"):
        refiner(maps)
    with pytest.raises(ShapeError, match=r"photos are \(1, 3, 16, 16\)"):
        refiner(maps, dark[..., :16, :16])


def test_without_guidance_the_photo_is_not_looked_at(architecture):
    refiner = built(architecture)
    maps = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(refiner(maps), refiner(maps, torch.zeros(1, 3, 32, 32, dtype=torch.uint8)))


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (1, 8, 8)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ShapeError, match=r"must be \(N, 1, h, w\)"):
        built("small")(torch.zeros(shape))


def test_a_cell_of_the_photo_is_the_average_of_its_pixels():
    photo = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    cells = photo_cells(photo, (2, 3))
    expected = photo.reshape(2, 4, 3, 4, 3).mean((1, 3)).transpose(2, 0, 1)
    np.testing.assert_allclose(cells, expected, atol=0.51)
    np.testing.assert_array_equal(photo_cells(photo, (8, 12)), photo.transpose(2, 0, 1))


def test_vgg_starts_from_what_it_knows_of_grey_photos(monkeypatch):
    vgg = TinyVgg()
    first = vgg.features[0]
    grey = torch.rand(1, 1, 8, 8)
    photo = torch.rand(1, 3, 8, 8)
    expected, of_photo = first(grey.expand(-1, 3, -1, -1)), first(photo)
    monkeypatch.setattr(module, "build_backbone", lambda model, weights: vgg)
    refiner = build_refiner(RefinerNetwork(architecture="fcn8s", guidance=True))
    after = refiner.to_pool3[0]
    torch.testing.assert_close(after(torch.cat([grey, torch.zeros_like(photo)], 1)), expected)
    torch.testing.assert_close(after(torch.cat([torch.zeros_like(grey), photo], 1)), of_photo)


@pytest.mark.slow
@pytest.mark.parametrize("guidance", [False, True])
def test_the_papers_network_is_vgg_16_and_takes_its_weights(tmp_path, guidance):
    import timm

    vgg = timm.create_model("vgg16")
    save_file(vgg.state_dict(), tmp_path / "vgg16.some_tag.safetensors")
    refiner = build_refiner(RefinerNetwork(architecture="fcn8s", guidance=guidance), tmp_path).eval()
    parameters = sum(parameter.numel() for parameter in refiner.parameters())
    assert 134e6 < parameters < 134.5e6
    torch.testing.assert_close(refiner.linear[0].weight, vgg.pre_logits.fc1.weight)
    torch.testing.assert_close(refiner.to_pool5[0].weight, vgg.features[24].weight)
    photos = torch.zeros(1, 3, 65, 70, dtype=torch.uint8)
    with torch.no_grad():
        assert refiner(torch.rand(1, 1, 65, 70), photos).shape == (1, 1, 65, 70)


def test_the_small_one_begins_with_the_map_that_it_got():
    maps = 0.02 + 0.96 * torch.rand(2, 1, 13, 17)
    with torch.no_grad():
        torch.testing.assert_close(build_refiner(RefinerNetwork())(maps).sigmoid(), maps)


def test_the_small_one_has_a_few_hundred_thousand_parameters():
    parameters = sum(parameter.numel() for parameter in built("small").parameters())
    assert 200_000 < parameters < 500_000


# Losses

COUNTS = [1, 3]


def batch(seed: int = 0):
    rng = torch.Generator().manual_seed(seed)
    logits = torch.randn(4, 1, 5, 6, generator=rng)
    target = torch.rand(4, 1, 5, 6, generator=rng)
    inside = (torch.rand(2, 1, 5, 6, generator=rng) > 0.3).repeat_interleave(torch.tensor(COUNTS), 0)
    return logits, target, inside


def test_binary_loss_is_that_of_loops_over_cells():
    logits, target, inside = batch()
    expected = 0.0
    for k in range(4):
        cells = []
        for i, j in np.ndindex(5, 6):
            if inside[k, 0, i, j]:
                p, t = torch.sigmoid(logits[k, 0, i, j].double()), target[k, 0, i, j].double()
                cells.append(-(t * p.log() + (1 - t) * (1 - p).log()))
        expected += sum(cells) / len(cells)
    assert refiner_loss(logits, target, inside, COUNTS).item() == pytest.approx(expected.item() / 2, rel=1e-5)


def test_reference_loss_is_that_of_loops_over_cells():
    logits, target, inside = batch()
    expected = 0.0
    for image in (slice(0, 1), slice(1, 4)):
        cells = []
        for i, j in np.ndindex(5, 6):
            if inside[image][0, 0, i, j]:
                p = torch.softmax(logits[image, 0, i, j].double(), 0)
                cells.append(-(target[image, 0, i, j].double() * p.log()).sum())
        expected += sum(cells) / len(cells)
    assert softmax_reference_loss(logits, target, inside, COUNTS).item() == pytest.approx(
        float(expected) / 2, rel=1e-5
    )


def gradient(loss, counts) -> torch.Tensor:
    logits, target, inside = batch()
    logits.requires_grad_()
    loss(logits, target, inside, counts).backward()
    return logits.grad


def test_one_class_teaches_the_reference_nothing_and_ours_something():
    for counts in ([1, 1, 1, 1], COUNTS):
        ours, published = gradient(refiner_loss, counts), gradient(softmax_reference_loss, counts)
        assert ours[0].abs().max() > 1e-3
        assert published[0].abs().max() == 0
    assert published[1:].abs().max() > 1e-3


def test_the_reference_is_blind_to_the_level_and_ours_is_not():
    logits, target, inside = batch()
    lifted = logits + 2
    published = [softmax_reference_loss(scores, target, inside, COUNTS) for scores in (logits, lifted)]
    torch.testing.assert_close(*published)
    ours = [refiner_loss(scores, target, inside, COUNTS).item() for scores in (logits, lifted)]
    assert abs(ours[0] - ours[1]) > 0.1


@pytest.mark.parametrize("name", LOSSES)
def test_cells_beyond_the_image_do_not_count(name):
    logits, target, inside = batch()
    changed = torch.where(inside, logits, 1e3), torch.where(inside, target, 0.5)
    torch.testing.assert_close(
        LOSSES[name](*changed, inside, COUNTS), LOSSES[name](logits, target, inside, COUNTS)
    )


@pytest.mark.parametrize("name", LOSSES)
def test_sharing_the_images_changes_nothing(name):
    logits, target, inside = batch()
    whole = LOSSES[name](logits, target, inside, COUNTS)
    parts = [
        LOSSES[name](logits[part], target[part], inside[part], [count])
        for part, count in ((slice(0, 1), 1), (slice(1, 4), 3))
    ]
    torch.testing.assert_close(sum(parts) / 2, whole)


@pytest.mark.parametrize("name", LOSSES)
def test_counts_that_do_not_add_up_are_refused(name):
    with pytest.raises(ShapeError, match=r"4 maps of images with \[1, 1\] classes"):
        LOSSES[name](*batch(), [1, 1])


# Refining


def test_it_learns_and_from_or_better_than_or_itself():
    torch.manual_seed(0)
    refiner = build_refiner(RefinerNetwork())
    optimizer = torch.optim.AdamW(refiner.parameters(), 1e-3)
    for step in range(60):
        maps, target = (torch.from_numpy(cam)[:, None] for cam in bumps(6, 25, step))
        loss = refiner_loss(refiner(maps), target, torch.ones_like(maps, dtype=torch.bool), [1] * 6)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(refiner.parameters(), 1.0)
        optimizer.step()
    maps, target = bumps(30, 25, 1000)
    error = np.abs(refine_cam(refiner.eval(), maps) - target).mean()
    assert error < 0.5 * np.abs(maps - target).mean()


def test_refined_maps_reach_one_and_what_was_empty_stays_empty(architecture):
    refiner = built(architecture)
    maps = np.random.default_rng(0).random((3, 19, 23), np.float32)
    maps[1] = 0
    refined = refine_cam(refiner, maps)
    assert refined.shape == maps.shape
    assert refined.dtype == np.float32
    np.testing.assert_allclose(refined.max((1, 2)), [1, 0, 1])
    assert refined.min() >= 0


def test_each_class_is_refined_by_itself():
    refiner = built("small")
    maps = np.random.default_rng(0).random((3, 19, 23), np.float32)
    together = refine_cam(refiner, maps)
    for k in range(3):
        np.testing.assert_allclose(refine_cam(refiner, maps[k : k + 1])[0], together[k], atol=1e-6)


def test_refined_maps_of_another_size_still_reach_one():
    refined = refine_cam(built("small"), np.eye(20, dtype=np.float32)[None], output_hw=(5, 7))
    assert refined.shape == (1, 5, 7)
    assert refined.max() == 1


def test_an_image_without_classes_has_no_maps():
    assert refine_cam(built("small"), np.zeros((0, 4, 5), np.float32)).shape == (0, 4, 5)
    with pytest.raises(ShapeError, match=r"must be \(K, h, w\)"):
        refine_cam(built("small"), np.zeros((4, 5), np.float32))


def test_guidance_needs_a_photo_and_takes_any_size():
    refiner = built("small", guidance=True)
    maps = np.random.default_rng(0).random((2, 10, 12), np.float32)
    with pytest.raises(ShapeError, match="photos are None"):
        refine_cam(refiner, maps)
    photo = np.zeros((40, 48, 3), np.uint8)
    photo[:20] = 255
    assert np.abs(refine_cam(refiner, maps, photo) - refine_cam(refiner, maps, 255 - photo)).max() > 1e-3


# Files


@pytest.mark.parametrize("half", [False, True])
def test_a_file_rebuilds_the_refiner(architecture, tmp_path, half):
    refiner = built(architecture, guidance=True, cell_px=2)
    path = tmp_path / "refine" / "refiner.safetensors"
    save_refiner(path, refiner, half=half)
    again = load_refiner(path)
    assert again.network == refiner.network
    assert not again.training
    maps, photos = torch.rand(1, 1, 20, 20), torch.zeros(1, 3, 20, 20, dtype=torch.uint8)
    tolerance = 2e-2 if half else 0
    with torch.no_grad():
        torch.testing.assert_close(again(maps, photos), refiner(maps, photos), atol=tolerance, rtol=tolerance)
    assert list(path.parent.iterdir()) == [path]


def test_a_bad_file_is_named(tmp_path):
    path = tmp_path / "refiner.safetensors"
    with pytest.raises(WeightsError, match="no such file; train it with `python -m train refine`"):
        load_refiner(path)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="holds no refiner"):
        load_refiner(path)
    save_file({"x": torch.zeros(1)}, path, metadata={"refiner": '{"architecture": "small"}'})
    with pytest.raises(WeightsError, match="does not fit the refiner that it describes"):
        load_refiner(path)


@pytest.mark.parametrize(
    "description",
    [
        '{"architecture": "small", "norm": "x"}',
        '{"architecture": "nope"}',
        '{"cell_px": "4"}',
        "[1]",
        "7",
        "{",
    ],
)
def test_a_refiner_of_another_version_is_refused_in_words(tmp_path, description):
    path = tmp_path / "refiner.safetensors"
    save_file({"x": torch.zeros(1)}, path, metadata={"refiner": description})
    with pytest.raises(WeightsError, match=r"refiner\.safetensors: this version cannot build the refiner"):
        load_refiner(path)


@pytest.mark.parametrize(
    ("fields", "message"), [({"architecture": "unet"}, "choose one of"), ({"cell_px": 0}, "at least 1 pixel")]
)
def test_a_wrong_network_says_what_it_takes(fields, message):
    with pytest.raises(ConfigError, match=message):
        RefinerNetwork(**fields)


def test_the_small_refiner_takes_no_weights():
    with pytest.raises(ConfigError, match="starts from nothing"):
        build_refiner(RefinerNetwork(), "hub")
