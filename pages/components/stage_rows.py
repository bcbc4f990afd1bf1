"""A row for every stage of a run: how far it is, how long it took, what it came to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pages.components.launching import STAGES, stage_title
from pages.components.run_figures import StageFigures
from pages.components.tasks import format_left
from train.provenance import DEVICE
from train.records import StageRecord, read_record
from train.stages import stage_of

__all__ = ["StageRow", "made_with", "stage_rows"]


@dataclass(frozen=True)
class StageRow:
    """One stage of a run in words.

    Attributes:
        title: of the stage.
        done: such as `120 of 480`; empty before it began.
        time: what it took, or how much longer it may take; empty where that is not known.
        state: Markdown.
    """

    title: str
    done: str
    time: str
    state: str


def stage_rows(folder: Path, figures: Mapping[str, StageFigures], *, alive: bool) -> list[StageRow]:
    """The rows of a run: all stages in their order, then what else it reported.

    Of a stage that reports of several parts (a training, then all images), the newest is shown.

    Args:
        folder: of the run.
        figures: what the run reported of its stages.
        alive: its job lives, so that time is running down.
    """
    parts: dict[str, list[StageFigures]] = {name: [] for name in STAGES}
    for name, reported in figures.items():
        stage = stage_of(name)
        parts.setdefault(stage.name if stage else name, []).append(reported)
    return [
        _row(
            name, read_record(folder, name), max(reported, key=lambda part: part.time_s, default=None), alive
        )
        for name, reported in parts.items()
    ]


def made_with(folder: Path) -> list[str]:
    """By which code, packages and device a run's stages were made, in words.

    Returns:
        What all stages have in common, then what some were made with, the oldest first; nothing where
        nothing is known.
    """
    records = [record for name in STAGES if (record := read_record(folder, name)) and record.provenance]
    records.sort(key=lambda record: record.began_s)
    made_by = {stage_title(record.stage): dict(record.provenance) for record in records}
    common = set.intersection(*(set(each.items()) for each in made_by.values())) if made_by else set()
    titles: dict[str, list[str]] = {}
    for title, each in made_by.items():
        titles.setdefault(_made_with(each, lambda item: item not in common), []).append(title)
    first = _made_with(next(iter(made_by.values()), {}), lambda item: item in common)
    return [
        *([f"Made with {first}"] if first else []),
        *(f"{', '.join(stages)}: {words}" for words, stages in titles.items() if words),
    ]


def _made_with(provenance: Mapping[str, str], is_told: Callable[[tuple[str, str]], bool]) -> str:
    told = dict(filter(is_told, provenance.items()))
    return ", ".join(value if name == DEVICE else f"{name} {value}" for name, value in told.items())


def _row(name: str, record: StageRecord | None, figures: StageFigures | None, alive: bool) -> StageRow:
    # Of a stage that is made anew, the figures of the time before say nothing.
    if record and figures and figures.time_s < record.began_s and record.finished_s is None:
        figures = None
    done = f"{figures.done:,} of {figures.total:,}" if figures else ""
    return StageRow(stage_title(name), done, _time(record, figures, alive), _state(record, figures))


def _time(record: StageRecord | None, figures: StageFigures | None, alive: bool) -> str:
    if record and record.finished_s is not None:
        return format_left(record.seconds) if record.seconds else ""
    if alive and figures and figures.done < figures.total and figures.eta_s is not None:
        return f"{format_left(figures.eta_s)} left"
    return ""


def _state(record: StageRecord | None, figures: StageFigures | None) -> str:
    if record and record.failed:
        return f":orange[{len(record.failed)} failed]"
    if (record and record.finished_s is not None) or (
        figures and not record and figures.done >= figures.total
    ):
        best = figures.curves.get("mAP") if figures else None
        # What was not made here, such as an adopted network, reported nothing on the way.
        told = f"mAP {100 * best[1][-1]:.1f}" if best else record.summary if record and not figures else ""
        return f":green[:material/check:] {told}".rstrip()
    if figures is None:
        return ":blue[begun]" if record else ":gray[not begun]"
    return f":blue[{figures.done / max(figures.total, 1):.0%}]"
