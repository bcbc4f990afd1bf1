"""Transformer attribution: relevance is conserved, and the maps are those of a second, slower way.

The second way shares no code with the first: relevance is taken by autograd as `x dY/dx R / Y`
through the whole network, gradients by hooks in timm's own forward pass, and the rollout
multiplies whole matrices.
"""

import pytest
import torch
from timm.layers import GluMlp
from torch import Tensor
from torch.nn import functional as F

from orandnet_core.cams import METHODS
from orandnet_core.cams.attribution import block_rule, head_relevance, transformer_attribution
from orandnet_core.cams.vit import block_inputs, target_tokens, trace_block
from orandnet_core.errors import ConfigError
from tests.orandnet_core.cams.conftest import VITS, make_vit

CLASSES = torch.tensor([0, 2, 3])
# Of the sum of magnitudes, which is what float32 rounds.
CONSERVED_WITHIN = 1e-5


def relevance_by_layer(vit, images: Tensor, classes: Tensor = CLASSES) -> list[list[Tensor]]:
    """Relevance of what each block is given, top first, for each class."""
    between = block_inputs(vit.backbone, images)
    with torch.no_grad():
        tokens = vit.backbone.norm(between[-1])
        layers = [head_relevance(vit, tokens, list(target_tokens(vit, tokens, classes)), classes)]
        for block, entry in zip(reversed(vit.backbone.blocks), reversed(between[:-1]), strict=True):
            rule = block_rule(block, trace_block(block, entry))
            layers.append([rule(relevance)[0] for relevance in layers[-1]])
    return layers


WITH_CLASS_TOKEN = [name for name, build in VITS.items() if build.get("class_token", True)]


@pytest.mark.parametrize(
    ("head", "name"), [("cls", name) for name in WITH_CLASS_TOKEN] + [("patch", name) for name in VITS]
)
def test_relevance_is_conserved_layer_by_layer(head, name, images):
    layers = relevance_by_layer(make_vit(head, **VITS[name]), images)
    assert len(layers) == 4
    for layer in layers:
        for relevance in layer:
            error = (relevance.double().sum((1, 2)) - 1).abs()
            assert (error <= CONSERVED_WITHIN * relevance.abs().sum((1, 2))).all()


def test_relevance_is_conserved_in_a_real_network(voc, weights_dir):
    from orandnet_core.backbones import Network, build_classifier

    network = Network(model="vit_small_patch14_dinov2", head="cls", class_names=voc.class_names)
    vit = build_classifier(network, weights_dir).eval()
    photo = torch.tensor(voc.image(voc.image_ids("train")[0])).permute(2, 0, 1)[None].float() / 255
    photo = vit.normalise(F.interpolate(photo, (112, 154), mode="bilinear"))
    layers = relevance_by_layer(vit, photo, torch.tensor([0, 14]))
    assert len(layers) == 13
    for layer in layers:
        for relevance in layer:
            error = (relevance.double().sum((1, 2)) - 1).abs()
            assert (error <= CONSERVED_WITHIN * relevance.abs().sum((1, 2))).all()


def ratio(relevance: Tensor, output: Tensor) -> Tensor:
    return torch.where(output.abs() > 1e-9, relevance / output, torch.zeros(()))


def positive_linear(inputs: Tensor, weight: Tensor, relevance: Tensor) -> Tensor:
    """Equation 4 by autograd: the two halves of the layer that only raise its output."""
    inputs = inputs.detach().requires_grad_()
    with torch.enable_grad():
        output = F.linear(inputs.relu(), weight.relu()) + F.linear((-inputs).relu(), (-weight).relu())
        return inputs.detach() * torch.autograd.grad(output, inputs, ratio(relevance, output.detach()))[0]


def shared(operation, first: Tensor, second: Tensor, relevance: Tensor) -> tuple[Tensor, Tensor]:
    """Equations 5 and 7 by autograd, for one image."""
    first, second = first.detach().requires_grad_(), second.detach().requires_grad_()
    with torch.enable_grad():
        output = operation(first, second)
        parts = torch.autograd.grad(output, (first, second), ratio(relevance, output.detach()))
    parts = [part * values.detach() for part, values in zip(parts, (first, second), strict=True)]
    sums = [part.sum() for part in parts]
    weight = sum(each.abs() for each in sums)
    return tuple(
        part * (each.abs() / weight) * (relevance.sum() / each)
        for part, each in zip(parts, sums, strict=True)
    )


def slow_attribution(vit, image: Tensor, index: int) -> Tensor:
    """(1, 3, H, W), a class from 0 -> (h, w), of a network with a head on its class token."""
    kept: dict[str, Tensor] = {}
    attentions: list[Tensor] = []

    def keep(name: str):
        return lambda _module, inputs, output: kept.update({name: (inputs[0], output)})

    for depth, block in enumerate(vit.backbone.blocks):
        block.attn.fused_attn = False
        for name, module in block.named_modules():
            module.register_forward_hook(keep(f"{depth}.{name}"))
        block.attn.attn_drop.register_forward_hook(lambda *seen: attentions.append(seen[2]))
    vit.cls_head.register_forward_hook(keep("head"))
    logit = vit(image)[0, 0, index]
    gradients = torch.autograd.grad(logit, attentions)

    onehot = torch.zeros(1, vit.class_count)
    onehot[0, index] = 1
    relevance = torch.zeros_like(kept["2."][1])
    relevance[:, 0] = positive_linear(kept["head"][0], vit.cls_head.weight, onehot)
    layers = []
    for depth in (2, 1, 0):
        block = vit.backbone.blocks[depth]
        seen = {name.removeprefix(f"{depth}."): each for name, each in kept.items() if name[0] == str(depth)}
        relevance, of_attention = slow_block(block, seen, attentions[depth], relevance)
        weighted = (gradients[depth] * of_attention).clamp(min=0).mean(1)[0]
        layers.append(torch.eye(len(weighted)) + weighted)
    row = (layers[0] @ layers[1] @ layers[2])[0].detach()
    side = vit.patch_px
    return row[vit.backbone.num_prefix_tokens :].view(image.shape[2] // side, image.shape[3] // side)


def slow_block(block, seen, attention: Tensor, relevance: Tensor) -> tuple[Tensor, Tensor]:
    attn, mlp = block.attn, block.mlp
    middle = seen["norm2"][0]
    skipped, relevance = shared(torch.add, middle, seen["ls2"][1], relevance)
    relevance = positive_linear(seen["mlp.fc2"][0], mlp.fc2.weight, relevance)
    if isinstance(mlp, GluMlp):
        relevance = torch.cat((relevance, relevance), 2) / 2
    relevance = skipped + positive_linear(seen["mlp.fc1"][0], mlp.fc1.weight, relevance)
    skipped, relevance = shared(torch.add, seen[""][0], seen["ls1"][1], relevance)
    relevance = positive_linear(seen["attn.proj"][0], attn.proj.weight, relevance)
    heads = relevance.unflatten(2, (attn.num_heads, -1)).transpose(1, 2)
    value = seen["attn.qkv"][1].unflatten(2, (3, attn.num_heads, -1))[:, :, 2].transpose(1, 2)
    of_attention, of_value = shared(torch.matmul, attention, value, heads)
    query, key = seen["attn.q_norm"][1] * attn.scale, seen["attn.k_norm"][1]
    of_query, of_key = shared(lambda q, k: q @ k.transpose(2, 3), query, key, of_attention)
    of_qkv = torch.stack((of_query, of_key, of_value), 2).permute(0, 3, 2, 1, 4).flatten(2)
    return skipped + positive_linear(seen["attn.qkv"][0], attn.qkv.weight, of_qkv), of_attention


@pytest.mark.parametrize("name", WITH_CLASS_TOKEN)
def test_maps_are_those_of_the_slow_way(name, images):
    # In float64: relevance is divided by sums that may be near 0, where float32 tells little.
    vit, again = make_vit("cls", **VITS[name]).double(), make_vit("cls", **VITS[name]).double()
    images = images.double()
    maps = transformer_attribution(vit, images, CLASSES)
    assert maps.shape == (2, 3, 3, 4)
    for k, index in enumerate(CLASSES.tolist()):
        for image in range(2):
            expected = slow_attribution(again, images[image : image + 1], index)
            tolerance = 1e-6 * float(expected.max())
            torch.testing.assert_close(maps[image, k], expected, rtol=1e-6, atol=tolerance)


@pytest.mark.parametrize("method", ["transformer_attribution", "gradient_rollout", "attention_rollout"])
@pytest.mark.parametrize("head", ["cls", "patch"])
def test_classes_and_images_together_are_each_alone(method, head, images):
    vit, maps = make_vit(head), METHODS[method].maps
    together = maps(vit, images, CLASSES)
    for k in range(3):
        alone = torch.cat([maps(vit, image[None], CLASSES[k : k + 1]) for image in images])
        torch.testing.assert_close(together[:, k : k + 1], alone, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("method", ["transformer_attribution", "gradient_rollout"])
def test_one_forward_pass_serves_all_classes(method, images):
    vit, runs = make_vit(), []
    vit.backbone.patch_embed.register_forward_hook(lambda *_: runs.append("network"))
    vit.backbone.blocks[0].attn.qkv.register_forward_hook(lambda *_: runs.append("block"))
    METHODS[method].maps(vit, images, CLASSES)
    # Each block runs twice whatever the number of classes: once to get to the top, once for its graph.
    assert runs == ["network", "block", "block"]


def test_an_mlp_of_another_kind_is_refused(images):
    from timm.layers import SwiGLU

    with pytest.raises(ConfigError, match="SwiGLU"):
        transformer_attribution(make_vit(mlp_layer=SwiGLU), images, CLASSES)
