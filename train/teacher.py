"""A trained CNN as the teacher of a ViT's patch scores: image labels alone say little of where."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from orandnet_core.backbones import Classifier


class Teacher(nn.Module):
    """A frozen classifier that says, of each crop, where the classes present are and how sure it is."""

    def __init__(self, classifier: Classifier):
        super().__init__()
        self.classifier = classifier.requires_grad_(False)

    def train(self, mode: bool = True) -> "Teacher":
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) uint8 -> CAMs (B, C, h, w) in [0, 1], class probabilities (B, C)."""
        maps = self.classifier.class_maps(self.classifier.normalise(images)).float()
        cams = maps.clamp(min=0)
        cams = cams / cams.amax((2, 3), keepdim=True).clamp(min=torch.finfo(cams.dtype).tiny)
        return cams, maps.mean((2, 3)).sigmoid()


def position_loss(scores: Tensor, cams: Tensor, probabilities: Tensor, labels: Tensor) -> Tensor:
    """Binary cross entropy of each position against the teacher's CAM, for the classes present.

    A crop may miss an object that its photograph has; the CAM of such a class is noise
    stretched to [0, 1]. So each class counts as much as the teacher believes that it is there.

    Args:
        scores: (B, C, h, w) logits of the student's positions.
        cams: (B, C, h', w') in [0, 1], the teacher's; brought to the student's grid.
        probabilities: (B, C) in [0, 1], the teacher's.
        labels: (B, C), 0 or 1.

    Returns:
        A scalar; 0 where no class is present.
    """
    targets = F.interpolate(cams, scores.shape[-2:], mode="bilinear", align_corners=False)
    each = F.binary_cross_entropy_with_logits(scores, targets, reduction="none").mean((2, 3))
    weights = labels * probabilities
    return (weights * each).sum() / labels.sum().clamp(min=1)
