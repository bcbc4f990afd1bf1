"""Stages that make one thing of each image: resumable, shared among processes, harmed by no single file."""

import argparse
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from orandnet_core.errors import ConfigError, StoreError
from train.interruption import is_full_disk
from train.pool import in_processes, process_count
from train.progress import Progress
from train.ranks import rank_and_ranks

log = logging.getLogger(__name__)

Shard = tuple[int, int]
WHOLE: Shard = (1, 1)


@dataclass(frozen=True, kw_only=True)
class Made:
    """What became of the images of a stage.

    Attributes:
        made: images that were done now.
        kept: images that were there and in order.
        reasons: why, by image id, for the images that have none.
        found: what came of it, where that is more than files: a few words.
    """

    made: int
    kept: int
    reasons: Mapping[str, str] = field(default_factory=dict)
    found: str = ""

    @property
    def failed(self) -> tuple[str, ...]:
        """Ids of the images that could not be done."""
        return tuple(self.reasons)

    @property
    def summary(self) -> str:
        """One sentence."""
        counts = f"{self.made + self.kept} images, {self.made} made now, {len(self.reasons)} failed"
        return f"{counts}: {self.found}" if self.found else counts


def for_each_image(
    stage: str,
    image_ids: Sequence[str],
    *,
    is_done: Callable[[str], bool],
    make: Callable[[str], None],
    run_dir: Path | None = None,
    shard: Shard = WHOLE,
    workers: int = 1,
) -> Made:
    """Do what is not done yet, one image after the other or several at the same time.

    An image that fails is noted and passed over; wrong settings or a full disk end the stage,
    since no image would fare better. Processes that were launched together (torchrun, srun) share
    the images of their shard.

    Args:
        stage, run_dir: where progress is told; see `Progress`.
        image_ids: of all shards.
        is_done: whether an image's output is there and in order.
        make: makes and stores an image's output; picklable, where there is more than one worker.
        shard: (i, n): take every n-th image from the i-th on, from 1.
        workers: processes that make images at the same time, for what holds the GIL; 0 is one for
            every core. With 1, all is done in this process.

    Returns:
        What became of this process's share.

    Raises:
        ConfigError, StoreError: as `make` raises them.
        Interrupted: SIGTERM came while there were several workers.
    """
    rank, ranks = rank_and_ranks()
    number, count = share_of(shard, rank, ranks)
    mine = image_ids[number - 1 :: count]
    waiting = [image_id for image_id in mine if not is_done(image_id)]
    reasons: dict[str, str] = {}
    name = stage if count == 1 else f"{stage} {number}/{count}"
    done = len(mine) - len(waiting)
    with Progress(name, len(mine), done=done, run_dir=run_dir, bar=rank == 0) as progress:
        attempt = partial(_attempt, make)
        processes = min(process_count(workers), len(waiting))
        if processes > 1:
            outcomes = in_processes(attempt, waiting, processes)
        else:
            outcomes = ((image_id, attempt(image_id)) for image_id in waiting)
        with closing(outcomes):
            for image_id, outcome in outcomes:
                if isinstance(outcome, Exception):
                    raise outcome
                if outcome is not None:
                    log.warning("%s passes over %s: %s", stage, image_id, outcome)
                    reasons[image_id] = str(outcome)
                progress.advance()
    return Made(made=len(waiting) - len(reasons), kept=len(mine) - len(waiting), reasons=reasons)


def _attempt(make: Callable[[str], None], image_id: str) -> Exception | str | None:
    """None where it worked, else why the image has no output, or the error that ends the stage."""
    try:
        make(image_id)
    except Exception as error:
        if isinstance(error, ConfigError | StoreError) or is_full_disk(error):
            return error
        return f"{type(error).__name__}: {error}"
    return None


def share_of(shard: Shard, rank: int, ranks: int) -> Shard:
    """The shard that one of the processes which share a shard does: (i, n) of all shards there are then."""
    number, count = shard
    return (number - 1) * ranks + rank + 1, count * ranks


def add_shard_argument(parser: argparse.ArgumentParser) -> None:
    """`--shard I/N`, for array jobs."""
    parser.add_argument(
        "--shard", type=parse_shard, default=WHOLE, metavar="I/N", help="this process does every N-th image"
    )


def parse_shard(text: str) -> Shard:
    """`2/4` -> (2, 4)."""
    number, slash, count = text.partition("/")
    if slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count):
        return int(number), int(count)
    raise argparse.ArgumentTypeError(f"{text!r}: expected I/N such as 2/4, with I from 1 to N")
