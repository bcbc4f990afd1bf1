"""The curriculum as arithmetic: how many images of which size every step of a training shows.

No step knows of another: `side_px(step)`, `images(step)` and what came before it follow from the
config alone, so a resumed training goes on with exactly the images it would have seen.
"""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from orandnet_core.errors import ConfigError
from train.config.segment import CurriculumConfig


@dataclass(frozen=True)
class Phase:
    """Steps at one size.

    Attributes:
        steps: how many.
        side_px: of the square images.
        images: of all its steps together; a multiple of `unit`.
        unit: every step shows a multiple of so many images, which devices and micro-steps share.
    """

    steps: int
    side_px: int
    images: int
    unit: int = 1

    def images_at(self, step: int) -> int:
        """Images of a step, 0..steps - 1: all steps alike, to within one unit."""
        units = self.images // self.unit
        return (units * (step + 1) // self.steps - units * step // self.steps) * self.unit

    @property
    def pixels(self) -> int:
        """That the network sees in all its steps."""
        return self.images * self.side_px**2


@dataclass(frozen=True)
class Schedule:
    """The phases of a training, one after the other."""

    phases: tuple[Phase, ...]

    @cached_property
    def _ends(self) -> tuple[int, ...]:
        return tuple(accumulate(phase.steps for phase in self.phases))

    @property
    def steps(self) -> int:
        """Of the whole training."""
        return self._ends[-1]

    @property
    def pixels(self) -> int:
        """That the network sees in the whole training."""
        return sum(phase.pixels for phase in self.phases)

    def side_px(self, step: int) -> int:
        """Side of the square images of a step, 0..steps - 1."""
        return self.phases[self._phase(step)].side_px

    def images(self, step: int) -> int:
        """Images of a step, over all devices and micro-steps."""
        index = self._phase(step)
        return self.phases[index].images_at(step - self._ends[index] + self.phases[index].steps)

    def _phase(self, step: int) -> int:
        return bisect_right(self._ends, step)


def scale_schedule(
    curriculum: CurriculumConfig,
    *,
    steps: int,
    batch_size: int,
    crop_px: int,
    stride: int = 1,
    unit: int = 1,
) -> Schedule:
    """What every step shows.

    - `none`: `steps` steps of `batch_size` images of `crop_px`.
    - `scale`: as many steps, divided by the phases' shares. A scale's side is the multiple of
      `stride` nearest to scale x crop_px. With `grow_batch`, a step has as many images as fit into
      batch_size x crop_px^2 pixels.
    - `equal_compute`: images of `crop_px`, as many as bring the pixels of all steps nearest to those
      of `scale`, in steps of `batch_size` to within one unit.

    Args:
        steps: of a training at the original size.
        batch_size: images a step at the original size; a multiple of `unit`.
        crop_px: side of a training image at the original size.
        stride: of the network.
        unit: devices x micro-steps: what the images of every step are a multiple of.

    Raises:
        ConfigError: `batch_size` is no multiple of `unit`, or there are fewer steps than sizes.
    """
    if batch_size % unit:
        raise ConfigError(f"batch_size {batch_size} cannot be shared by {unit} processes x micro-steps")
    if curriculum.kind == "none":
        return Schedule((Phase(steps, crop_px, steps * batch_size, unit),))
    scaled = Schedule(tuple(_phases(curriculum, steps, batch_size, crop_px, stride, unit)))
    if curriculum.kind == "scale":
        return scaled
    images = max(1, round(scaled.pixels / (crop_px**2 * unit))) * unit
    return Schedule((Phase(max(1, round(images / batch_size)), crop_px, images, unit),))


def _phases(
    curriculum: CurriculumConfig, steps: int, batch_size: int, crop_px: int, stride: int, unit: int
) -> list[Phase]:
    ends = [round(steps * share) for share in accumulate(share for share, _ in curriculum.phases)]
    lengths = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    if min(lengths) < 1:
        raise ConfigError(
            f"{steps} steps are too few for {len(lengths)} phases of the curriculum: train for more epochs"
        )
    phases = []
    for (_, scale), length in zip(curriculum.phases, lengths, strict=True):
        side_px = max(stride, round(crop_px * scale / stride) * stride)
        fitting = batch_size * crop_px**2 // side_px**2 if curriculum.grow_batch else batch_size
        phases.append(Phase(length, side_px, length * max(unit, fitting // unit * unit), unit))
    return phases
