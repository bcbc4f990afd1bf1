"""Segmentation networks: any encoder with its weights, files, sizes, and inference against torch's own."""

import dataclasses

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from orandnet_core.errors import ConfigError, RangeError, ShapeError, WeightsError
from orandnet_core.segmentation import (
    ARCHITECTURES,
    SegmentationNetwork,
    Segmenter,
    build_segmenter,
    class_scores,
    load_segmenter,
    save_segmenter,
    segment,
)
from orandnet_core.weights import save_described
from train import config

NAMES = ("cat", "dog")
DEEPLAB = SegmentationNetwork(architecture="deeplabv3plus", encoder="test_resnet", class_names=NAMES)
SEGFORMER = SegmentationNetwork(architecture="segformer", encoder="test_convnext", class_names=NAMES)


@pytest.fixture(scope="module", params=[DEEPLAB, SEGFORMER], ids=["deeplabv3plus", "segformer"])
def segmenter(request):
    torch.manual_seed(0)
    return build_segmenter(request.param).eval()


class Pointwise(nn.Module):
    """A network in the place of a real one: every pixel's scores follow from its colour alone."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 1)

    def forward(self, images):
        return self.layer(images)


@pytest.fixture(scope="module")
def pointwise():
    torch.manual_seed(1)
    return Segmenter(DEEPLAB, Pointwise()).eval()


def photo(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_names_that_the_config_offers_are_those_there_are():
    assert config.ARCHITECTURES == ARCHITECTURES


@pytest.mark.parametrize("size_hw", [(64, 64), (33, 70), (1, 17)])
def test_scores_have_the_images_size(segmenter, size_hw):
    with torch.inference_mode():
        assert segmenter(torch.zeros(2, 3, *size_hw)).shape == (2, 3, *size_hw)


def test_maps_are_enlarged_pixel_on_pixel():
    """With corners in line, as the library has it, a map is shifted towards its borders."""
    upsamples = [module for module in build_segmenter(DEEPLAB).modules() if isinstance(module, nn.Upsample)]
    assert len(upsamples) == 2
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    for module in upsamples:
        expected = F.interpolate(ramp, scale_factor=4, mode="bilinear", align_corners=False)
        torch.testing.assert_close(module(ramp), expected)


@pytest.mark.parametrize("encoder", ["test_resnet", "test_efficientnet", "test_convnext"])
@pytest.mark.parametrize("place", ["file", "folder"])
def test_the_encoder_takes_the_weights_of_the_whole_network(tmp_path, encoder, place):
    torch.manual_seed(3)
    whole = timm.create_model(encoder, num_classes=7)
    path = tmp_path / f"{encoder}.tag.safetensors"
    save_file(whole.state_dict(), path)
    network = dataclasses.replace(SEGFORMER, encoder=encoder)
    got = build_segmenter(network, path if place == "file" else tmp_path).encoder
    known = [value for value in whole.state_dict().values() if value.numel() > 1]
    for name, value in got.state_dict().items():
        if value.numel() > 1:
            assert any(value.shape == each.shape and torch.equal(value, each) for each in known), name
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        ours = [feature for feature in got.eval()(images) if feature.shape[1] not in (0, 3)]
        theirs = whole.eval().forward_intermediates(images, intermediates_only=True, output_fmt="NCHW")
    torch.testing.assert_close(ours[-1], theirs[-1])


def test_weights_of_another_network_are_refused(tmp_path):
    save_file(timm.create_model("test_efficientnet").state_dict(), tmp_path / "test_resnet.safetensors")
    with pytest.raises(WeightsError, match="does not fit test_resnet"):
        build_segmenter(DEEPLAB, tmp_path)


def test_missing_weights_name_the_three_ways(tmp_path):
    with pytest.raises(WeightsError, match=r"'hub'.*safetensors file.*folder"):
        build_segmenter(DEEPLAB, tmp_path)


@pytest.mark.parametrize("half", [False, True])
def test_a_file_rebuilds_the_network(segmenter, tmp_path, half):
    path = tmp_path / "segment" / "network.safetensors"
    save_segmenter(path, segmenter, half=half)
    again = load_segmenter(path)
    assert again.network == segmenter.network
    assert not again.training
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    tolerance = 3e-2 if half else 0
    with torch.inference_mode():
        torch.testing.assert_close(again(images), segmenter(images), atol=tolerance, rtol=tolerance)
    assert list(path.parent.iterdir()) == [path]


def test_a_file_of_another_kind_is_refused(tmp_path):
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="holds no segmentation network"):
        load_segmenter(tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="no such file.*train segment"):
        load_segmenter(tmp_path / "none.safetensors")
    save_described(tmp_path / "newer.safetensors", nn.Linear(1, 1), "segmentation", {"norm": "x"})
    with pytest.raises(WeightsError, match="cannot build the segmentation network that it describes"):
        load_segmenter(tmp_path / "newer.safetensors")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"architecture": "unet"}, "choose one of"),
        ({"encoder": "resnet1800"}, "timm has no model 'resnet1800'; near: .*resnet"),
        ({"output_stride": 4}, "choose one of"),
        ({"activation": "tanh"}, "choose one of"),
    ],
)
def test_a_wrong_network_says_what_it_takes(fields, message):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(DEEPLAB, **fields)


@pytest.mark.parametrize("encoder", ["test_vit", "vgg11"])
def test_an_encoder_that_does_not_fit_is_told_with_those_that_do(encoder):
    with pytest.raises(ConfigError, match=f"{encoder} cannot be the encoder.*such as resnet50"):
        build_segmenter(dataclasses.replace(DEEPLAB, encoder=encoder))


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_probabilities_sum_to_one(activation):
    network = Segmenter(dataclasses.replace(DEEPLAB, activation=activation), Pointwise())
    scores = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)) * 9
    probabilities = network.probabilities(scores)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(2, 4, 5))
    assert torch.equal(probabilities.argmax(1), scores.argmax(1))


def test_one_scale_is_the_softmax_of_the_scores(segmenter):
    image = photo(40, 52)
    with torch.inference_mode():
        images = torch.tensor(image).permute(2, 0, 1)[None]
        expected = segmenter(segmenter.normalise(images)).softmax(1)[0].numpy()
    np.testing.assert_allclose(class_scores(segmenter, image), expected, atol=1e-6)
    np.testing.assert_array_equal(segment(segmenter, image), expected.argmax(0))


def test_mirroring_averages_both_views(segmenter):
    image = photo(48, 64)
    plain = class_scores(segmenter, image)
    mirrored = class_scores(segmenter, image[:, ::-1].copy())[:, :, ::-1]
    np.testing.assert_allclose(class_scores(segmenter, image, flip=True), (plain + mirrored) / 2, atol=1e-6)


def test_scales_are_averaged_at_the_photographs_size(pointwise):
    """Worked out with torch alone, at a size where rounding matters."""
    image = photo(37, 53)
    pixels = torch.tensor(image).permute(2, 0, 1)[None] / 255
    total = torch.zeros(3, 37, 53)
    for height, width in ((18, 26), (37, 53), (56, 80)):  # 0.5, 1 and 1.5 times, rounded half to even
        seen = F.interpolate(pixels, (height, width), mode="bilinear", antialias=True)
        with torch.inference_mode():
            scores = pointwise.model((seen - pointwise.mean) / pointwise.std)
        total += F.interpolate(scores, (37, 53), mode="bilinear", antialias=True).softmax(1)[0]
    found = class_scores(pointwise, image, scales=(0.5, 1.0, 1.5))
    np.testing.assert_allclose(found, (total / 3).numpy(), atol=1e-5)
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-5)


@pytest.mark.parametrize("size_hw", [(601, 45), (300, 700)])
def test_a_large_photograph_is_reduced_and_its_mask_enlarged_in_strips(pointwise, size_hw):
    image = photo(*size_hw)
    seen = []
    handle = pointwise.model.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape))
    mask = segment(pointwise, image, max_pixels=5000)
    handle.remove()
    assert seen[0][2] * seen[0][3] <= 5000 + 16 * sum(seen[0][2:])
    scores = class_scores(pointwise, image, max_pixels=5000)
    assert scores.shape == (3, *size_hw)
    np.testing.assert_array_equal(mask, scores.argmax(0))
    factor = (5000 / (size_hw[0] * size_hw[1])) ** 0.5
    small = tuple(int(side * factor) for side in size_hw)
    pixels = torch.tensor(image).permute(2, 0, 1)[None] / 255
    reduced = F.interpolate(pixels, small, mode="bilinear", antialias=True)
    with torch.inference_mode():
        expected = pointwise.model((reduced - pointwise.mean) / pointwise.std).softmax(1)
    whole = F.interpolate(expected, size_hw, mode="bilinear", align_corners=False)[0]
    np.testing.assert_allclose(scores, whole.numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("image", "how", "error"),
    [
        (np.zeros((8, 8), np.uint8), {}, ShapeError),
        (np.zeros((8, 8, 3), np.float32), {}, ShapeError),
        (np.zeros((8, 8, 3), np.uint8), {"scales": ()}, RangeError),
        (np.zeros((8, 8, 3), np.uint8), {"scales": (1.0, 0.0)}, RangeError),
    ],
)
def test_what_cannot_be_segmented_is_told(pointwise, image, how, error):
    with pytest.raises(error):
        segment(pointwise, image, **how)


def test_real_weights_fit(weights_dir):
    network = SegmentationNetwork(
        architecture="deeplabv3plus", encoder="tf_efficientnet_lite0", class_names=NAMES
    )
    segmenter = build_segmenter(network, weights_dir).eval()
    assert segment(segmenter, photo(64, 48)).shape == (64, 48)
