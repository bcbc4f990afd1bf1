"""The named recipes, where they promise to follow what was published."""

from orandnet_core.backbones import Network, build_classifier
from train import classify
from train.recipes import voc12_paper


def test_the_papers_cnn_learns_as_irns_does():
    """Stages 3 and 4 and a head ten times faster, unclipped; a tenth of the rate for 0.9 of momentum."""
    config = voc12_paper().cnn
    network = Network(
        model=config.model, head=config.head, class_names=("a",), output_stride=config.output_stride
    )
    classifier = build_classifier(network)
    classifier.freeze(config.frozen_stages)
    learning = {name.split(".")[1] for name, each in classifier.named_parameters() if each.requires_grad}
    assert learning == {"layer3", "layer4", "weight"}
    groups = classify._optimiser(classifier, config).param_groups
    assert {group["momentum"] for group in groups} == {0.9}
    rates = {id(each): group["initial_lr"] for group in groups for each in group["params"]}
    assert rates[id(classifier.backbone.layer4[0].conv1.weight)] == 0.01
    assert rates[id(classifier.head.weight)] == 0.1
    assert min(config.clip_norm, voc12_paper().refine.clip_norm) >= 1e6
