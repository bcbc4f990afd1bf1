"""The network: its grid, its two branches against the paper's order of steps, its weights and files."""

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from orandnet_core.backbones import Network, build_classifier, save_classifier
from orandnet_core.errors import ConfigError, ShapeError, WeightsError
from orandnet_core.irn.losses import boundary_loss, displacement_loss
from orandnet_core.irn.network import (
    IrnNetwork,
    build_irn,
    centre_displacement,
    load_irn,
    relations,
    save_irn,
)
from orandnet_core.irn.pairs import pair_labels
from orandnet_core.weights import save_described

SMALL = IrnNetwork(model="test_resnet", boundary_channels=8, displacement_channels=16)


def made(network=SMALL, seed=0, **how):
    torch.manual_seed(seed)
    return build_irn(network, **how)


def photograph(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("model", ["test_resnet", "test_efficientnet", "test_convnext"])
@pytest.mark.parametrize("size_hw", [(64, 96), (1, 1), (33, 50), (37, 4)])
def test_there_is_a_cell_for_every_four_pixels(model, size_hw):
    irn = made(IrnNetwork(model=model, displacement_channels=16)).eval()
    grid = -(-size_hw[0] // 4), -(-size_hw[1] // 4)
    logits, displacement = irn(torch.rand(2, 3, *size_hw))
    assert (logits.shape, displacement.shape) == ((2, *grid), (2, 2, *grid))
    boundary, field = relations(irn, photograph(*size_hw))
    assert (boundary.shape, field.shape) == (grid, (2, *grid))
    assert 0 <= boundary.min() <= boundary.max() <= 1


def test_the_boundary_is_that_of_joined_maps_under_one_convolution():
    irn = made().eval()
    images = torch.rand(1, 3, 64, 96)
    levels = [
        F.avg_pool2d(level, level.shape[-2] // 16) if level.shape[-2] > 16 else level
        for level in irn.backbone(images)
    ]
    with torch.no_grad():
        joined = torch.cat(
            [
                F.interpolate(reduce(level), (16, 24), mode="bilinear", align_corners=False)
                for reduce, level in zip(irn.boundary.reduce, levels, strict=True)
            ],
            1,
        )
        kernel = torch.cat([fuse.weight for fuse in irn.boundary.fuse], 1)
        expected = F.conv2d(joined, kernel, irn.boundary.bias.flatten())[:, 0]
        torch.testing.assert_close(irn(images)[0], expected, atol=1e-5, rtol=1e-4)


def test_the_displacement_is_that_of_the_top_down_pathway_as_written():
    irn = made().eval()
    branch, images = irn.displacement, torch.rand(1, 3, 64, 96)
    levels = irn.backbone(images)
    levels[0] = F.avg_pool2d(levels[0], 2)
    with torch.no_grad():
        reduced = [reduce(level) for reduce, level in zip(branch.reduce, levels, strict=True)]
        merged = reduced[-1]
        for k in range(len(reduced) - 2, -1, -1):
            size_hw = reduced[k].shape[-2:]
            enlarged = F.interpolate(merged, size_hw, mode="bilinear", align_corners=False)
            kernel = torch.cat((branch.own[k].weight, branch.from_coarser[k].weight), 1)
            merged = branch.after[k](F.conv2d(torch.cat((reduced[k], enlarged), 1), kernel))
        torch.testing.assert_close(irn(images)[1], branch.decode(merged), atol=1e-5, rtol=1e-4)


def test_mirrored_photographs_have_mirrored_boundaries():
    irn, image = made().eval(), photograph(40, 64)
    ours, mirrored = relations(irn, image)[0], relations(irn, image[:, ::-1].copy())[0]
    torch.testing.assert_close(mirrored.flip(1), ours, atol=1e-5, rtol=0)


def test_padding_moves_no_cell():
    irn, image = made().eval(), photograph(41, 50)
    padded = np.pad(image, ((0, 23), (0, 14), (0, 0)), mode="edge")
    for ours, whole in zip(relations(irn, image), relations(irn, padded), strict=True):
        torch.testing.assert_close(ours, whole[..., :11, :13])


@pytest.mark.parametrize("frozen", [True, False])
def test_both_branches_learn_and_the_backbone_where_it_may(frozen):
    irn = made()
    if frozen:
        irn.freeze_backbone()
    irn.train()
    before = {name: value.clone() for name, value in irn.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in irn.parameters() if p.requires_grad], lr=0.5)
    labels = torch.randint(0, 3, (2, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    pairs = pair_labels(labels, 5)
    logits, displacement = irn(torch.rand(2, 3, 64, 64))
    (boundary_loss(logits, pairs, 5) + displacement_loss(displacement, pairs, 5)).backward()
    optimizer.step()
    same = {name for name, value in irn.state_dict().items() if torch.equal(value, before[name])}
    backbone = {name for name in before if name.startswith("backbone.")}
    if frozen:
        assert same - {"mean_displacement"} == backbone
    else:
        # A residual branch that begins at 0 gives the convolutions in it no gradient in the first step.
        assert same <= backbone | {"mean_displacement"}
        assert not any(name.startswith("backbone.conv1") for name in same)
    assert irn.eval().train().backbone.training is not frozen


def test_a_file_rebuilds_the_network(tmp_path):
    irn = made(IrnNetwork(model="test_resnet", output_stride=16, displacement_channels=24)).eval()
    nn.init.normal_(irn.mean_displacement)
    save_irn(tmp_path / "irn" / "network.safetensors", irn)
    again = load_irn(tmp_path / "irn" / "network.safetensors")
    assert again.network == irn.network
    assert not again.training
    images = torch.rand(1, 3, 32, 64)
    with torch.no_grad():
        for ours, theirs in zip(again(images), irn(images), strict=True):
            assert torch.equal(ours, theirs)
    save_irn(tmp_path / "half.safetensors", irn, half=True)
    with torch.no_grad():
        torch.testing.assert_close(
            load_irn(tmp_path / "half.safetensors")(images)[0], irn(images)[0], atol=2e-2, rtol=2e-2
        )


def test_other_files_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="no such file; train it with `python -m train irn`"):
        load_irn(tmp_path / "nothing.safetensors")
    classifier = build_classifier(Network(model="test_resnet", head="conv", class_names=("cat",)))
    save_classifier(tmp_path / "classifier.safetensors", classifier)
    with pytest.raises(WeightsError, match="holds no inter-pixel relation network"):
        load_irn(tmp_path / "classifier.safetensors")
    save_described(tmp_path / "newer.safetensors", nn.Linear(1, 1), "irn", {"norm": "x"})
    with pytest.raises(WeightsError, match="cannot build the inter-pixel relation network that it describes"):
        load_irn(tmp_path / "newer.safetensors")


@pytest.mark.parametrize("model", ["test_resnet", "test_efficientnet", "test_convnext"])
def test_a_backbone_starts_from_a_file_a_folder_or_a_network_at_hand(model, tmp_path):
    torch.manual_seed(3)
    whole = timm.create_model(model, num_classes=10)
    save_file(whole.state_dict(), tmp_path / f"{model}.safetensors")
    images = torch.rand(1, 3, 64, 64)
    network = IrnNetwork(model=model, displacement_channels=16)
    features = timm.create_model(model, features_only=True).eval()
    named = {name.replace(".", "_"): value for name, value in whole.state_dict().items()}
    features.load_state_dict({name: named[name.replace(".", "_")] for name in features.state_dict()})
    for how in (
        {"weights": tmp_path},
        {"weights": tmp_path / f"{model}.safetensors"},
        {"backbone_state": whole.state_dict()},
    ):
        irn = build_irn(network, **how).eval()
        with torch.no_grad():
            for ours, expected in zip(irn.backbone(images), features(images), strict=True):
                assert torch.equal(ours, expected)


def test_weights_that_do_not_fit_are_refused(tmp_path):
    other = timm.create_model("test_efficientnet")
    save_file(other.state_dict(), tmp_path / "test_resnet.safetensors")
    with pytest.raises(WeightsError, match="does not fit test_resnet"):
        build_irn(SMALL, tmp_path)
    with pytest.raises(WeightsError, match="do not fit test_resnet's features"):
        build_irn(SMALL, backbone_state=other.state_dict())
    with pytest.raises(WeightsError, match="no weights of test_resnet"):
        build_irn(SMALL, tmp_path / "elsewhere")


def test_the_real_light_backbone(weights_dir):
    irn = made(IrnNetwork(model="tf_efficientnet_lite0", displacement_channels=32), weights=weights_dir)
    irn.freeze_backbone()
    logits, displacement = irn.eval()(torch.rand(1, 3, 64, 96))
    assert (logits.shape, displacement.shape) == ((1, 16, 24), (1, 2, 16, 24))
    stem = irn.backbone.state_dict()["conv_stem.weight"]
    assert (
        stem.abs().mean() > 3 * build_irn(irn.network).backbone.state_dict()["conv_stem.weight"].abs().mean()
    )


def test_the_mean_displacement_is_over_all_cells():
    irn = made().train()
    batches = [torch.from_numpy(photograph(h, 64, h)).permute(2, 0, 1)[None] for h in (32, 64, 96)]
    centre_displacement(irn, batches)
    first = irn.mean_displacement.clone()
    centre_displacement(irn, batches)
    torch.testing.assert_close(irn.mean_displacement, first)  # the mean so far is not counted in
    with torch.no_grad():
        fields = [irn(irn.normalise(images))[1] for images in batches]
    total = sum(field.sum((0, 2, 3)) for field in fields)
    assert first.abs().max() > 1e-4
    torch.testing.assert_close(
        total / sum(f[:, 0].numel() for f in fields), torch.zeros(2), atol=1e-5, rtol=0
    )
    centre_displacement(irn, [])
    torch.testing.assert_close(irn.mean_displacement, first)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ({"model": "no_such_net"}, "no model 'no_such_net'"),
        ({"model": "test_resnet", "boundary_channels": 12}, "boundary_channels 12: must be a multiple of 8"),
        ({"model": "test_resnet", "displacement_channels": 0}, "displacement_channels 0"),
        ({"model": "test_vit"}, "stride 16 alone"),
        ({"model": "test_resnet", "output_stride": 7}, "output_stride 7 gives no features"),
    ],
)
def test_networks_that_cannot_be_built(network, words):
    with pytest.raises(ConfigError, match=words):
        build_irn(IrnNetwork(**network))


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_what_is_no_photograph_is_refused(image):
    with pytest.raises(ShapeError, match=r"must be \(H, W, 3\) uint8"):
        relations(made().eval(), image)
