"""CNN CAM against its definition, and its refinement by likeness worked out cell by cell."""

import pytest
import torch
from torch.nn import functional as F

from orandnet_core.cams import affinity
from orandnet_core.cams.cnn import cam
from orandnet_core.errors import ConfigError, RangeError
from tests.orandnet_core.cams.conftest import make_cnn

CLASSES = torch.tensor([3, 1])


@pytest.mark.parametrize("model", ["test_resnet", "test_efficientnet"])
def test_it_is_the_features_weighed_by_the_classes_weights(model, images):
    cnn = make_cnn(model)
    maps = cam(cnn, images, CLASSES)
    with torch.no_grad():
        features, weights = cnn.backbone.forward_features(images), cnn.head.weight[:, :, 0, 0]
        expected = torch.stack([(features * weights[k][:, None, None]).sum(1) for k in (3, 1)], 1)
        torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(maps.mean((2, 3)), cnn(images)[:, 0][:, CLASSES], rtol=1e-4, atol=1e-5)


def test_no_gradient_is_kept(images):
    assert not cam(make_cnn(), images, CLASSES).requires_grad


@pytest.mark.parametrize("model", ["test_resnet", "test_efficientnet"])
def test_affinity_spreads_scores_to_cells_that_look_alike(model, images):
    cnn = make_cnn(model, output_stride=16)
    refined = cam(cnn, images, CLASSES, affinity_steps=2, affinity_power=3)
    with torch.no_grad():
        plain = cam(cnn, images, CLASSES).clamp(min=0)
        rows, columns = plain.shape[2:]
        stages = cnn.backbone.forward_intermediates(images, indices=3, intermediates_only=True)
        enlarged = [F.interpolate(stage, (rows, columns), mode="bilinear") for stage in stages]
        cells = [(y, x) for y in range(rows) for x in range(columns)]
        for image in range(2):
            seen = [
                torch.cat([stage[image, :, y, x] / stage[image, :, y, x].norm() for stage in enlarged])
                for y, x in cells
            ]
            for k in range(2):
                scores = [plain[image, k, y, x] for y, x in cells]
                for _ in range(2):
                    alike = [[max(0, float(F.cosine_similarity(a, b, 0))) ** 3 for b in seen] for a in seen]
                    scores = [
                        sum(w * s for w, s in zip(row, scores, strict=True)) / sum(row) for row in alike
                    ]
                expected = torch.stack(scores).reshape(rows, columns)
                torch.testing.assert_close(refined[image, k], expected, rtol=1e-3, atol=1e-4)


def test_affinity_keeps_scores_within_their_range(images):
    cnn = make_cnn()
    plain, refined = cam(cnn, images, CLASSES).clamp(min=0), cam(cnn, images, CLASSES, affinity_steps=9)
    assert (refined.amax((2, 3)) <= plain.amax((2, 3)) + 1e-4).all()
    assert (refined.amin((2, 3)) >= plain.amin((2, 3)) - 1e-4).all()
    assert refined.amax() < 0.9 * plain.amax(), "the image is not of one colour"


def test_affinity_goes_by_the_features_not_by_the_place():
    """Two kinds of cells in a chequered pattern: each gets the mean of its own kind."""
    kind = (torch.arange(4)[:, None] + torch.arange(6)) % 2
    features = F.one_hot(kind, 2).permute(2, 0, 1)[None].float()
    scores = torch.rand(1, 1, 24, generator=torch.Generator().manual_seed(0))
    alike = affinity.correlation([features], (4, 6), 1)
    spread = affinity.spread(scores, alike, 1)[0, 0]
    for each in (0, 1):
        own = kind.flatten() == each
        torch.testing.assert_close(spread[own], scores[0, 0, own].mean().expand(12))


@pytest.mark.parametrize("wrong", [{"affinity_steps": -1}, {"affinity_steps": 1, "affinity_power": 0}])
def test_settings_out_of_range_are_named(wrong, images):
    with pytest.raises(ConfigError, match="affinity_steps .* must be 0 or more, affinity_power"):
        cam(make_cnn(), images, CLASSES, **wrong)


def test_a_network_that_hides_its_features_is_named(images, monkeypatch):
    cnn = make_cnn()
    monkeypatch.delattr(type(cnn.backbone), "forward_intermediates")
    with pytest.raises(ConfigError, match="test_resnet does not show its features"):
        cam(cnn, images, CLASSES, affinity_steps=1)


def test_more_cells_than_memory_is_meant_for_are_refused(images, monkeypatch):
    monkeypatch.setattr(affinity, "MAX_CELLS", 3)
    with pytest.raises(RangeError, match="affinity between .* cells, at most 3"):
        cam(make_cnn(), images, CLASSES, affinity_steps=1)
