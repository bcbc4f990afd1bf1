"""Read `labels.csv`: image-level labels, and splits if it has them.

The first column names the image: an id, or a file name inside `images/`. A column `split` is
optional. The classes come in one of two forms, told apart by the header:

- a column `classes` (or `labels`, `class`, `label`) with class names, several of them
  separated by `;`, `|` or a quoted comma. An image may have several rows: their classes add up;
- one column a class, named after it, with 1 or 0 (also true/false, yes/no; empty is 0).

Commas, semicolons and tabs separate columns alike; the text is UTF-8, with or without a mark.
A row is a line: a quote that does not end on the line it began on spoils that row, not those after it.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orandnet_core.datasets.image_ids import is_image_id
from orandnet_core.datasets.images import IMAGE_SUFFIXES
from orandnet_core.datasets.problems import Problem, ProblemLog
from orandnet_core.errors import DataError

_CLASS_COLUMNS = ("classes", "labels", "class", "label")
_YES, _NO = ("1", "true", "yes", "1.0"), ("", "0", "false", "no", "0.0")


@dataclass(frozen=True)
class LabelTable:
    """What `labels.csv` says.

    Attributes:
        class_names: C names; as given, else in the order of the columns or the alphabet.
        class_ids_by_id: the classes (1..C), ascending, of every image id.
        split_by_id: the split of every image id, or None without such a column.
        problems: rows and cells that were passed over.
    """

    class_names: tuple[str, ...]
    class_ids_by_id: dict[str, tuple[int, ...]]
    split_by_id: dict[str, str] | None
    problems: ProblemLog


def read_labels_csv(path: Path, class_names: Sequence[str] | None = None) -> LabelTable:
    """Read a table of image-level labels; a row that makes no sense is listed and passed over.

    Args:
        path: the file.
        class_names: the classes there are, as `classes.txt` has them; without them every name in
            the table is a class.

    Raises:
        DataError: the file is missing, empty, not UTF-8 text, or has no column of classes.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            head = lines.readline()
            delimiter = next((mark for mark in "\t,;" if mark in head), None)
            if delimiter is None:
                raise DataError(f"{path}: no header with two columns or more, such as `image_id,classes`")
            header = _cells_of(head, delimiter)
            return _Reader(path, delimiter, header, class_names).read(lines)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not readable as UTF-8 text ({error})") from None
    except csv.Error as error:
        raise DataError(f"{path}: its header is no row of a table ({error})") from None


def image_id_of(name: str) -> str | None:
    """The image id of a file name or id as a table has it, or None if it leads out of `images/`."""
    name = name.strip().replace("\\", "/").removeprefix("./").removeprefix("images/")
    stem, dot, suffix = name.rpartition(".")
    image_id = stem if f"{dot}{suffix}".lower() in IMAGE_SUFFIXES else name
    return image_id if is_image_id(image_id) else None


def _cells_of(line: str, delimiter: str) -> list[str]:
    """The cells of one line; csv.Error where quotes do not fit or a cell has more than 131,072 characters."""
    return next(csv.reader([line], delimiter=delimiter, strict=True))


class _Reader:
    def __init__(self, path: Path, delimiter: str, header: list[str], class_names: Sequence[str] | None):
        self.path, self.delimiter = path, delimiter
        self.columns = [name.strip() for name in header]
        lower = [name.lower() for name in self.columns]
        self.problems = ProblemLog()
        self.rows: dict[str, set[str]] = {}
        self.splits: dict[str, str] = {}
        self.split_at = lower.index("split", 1) if "split" in lower[1:] else None
        self.classes_at = next((lower.index(name) for name in _CLASS_COLUMNS if name in lower[1:]), None)
        self.given = tuple(class_names) if class_names is not None else None
        self.by_column = {
            name: at
            for at, name in enumerate(self.columns)
            if at > 0 and at != self.split_at and name and (self.given is None or name in self.given)
        }
        if self.classes_at is None and not self.by_column:
            known = " that classes.txt names" if self.given else ""
            raise DataError(
                f"{path}: the header has neither a column `classes` nor a column a class{known}; "
                f"it has {', '.join(self.columns)}"
            )
        if self.classes_at is None and self.given is not None:
            self._note_columns(self.given)

    def read(self, lines: Iterable[str]) -> LabelTable:
        if self.classes_at is None:
            return self._read_columns(lines)
        for line, text in enumerate(lines, start=2):
            cells = self._cells(text, line)
            image_id = cells and self._image_id(cells, line)
            if image_id:
                self.rows.setdefault(image_id, set()).update(self._names(cells[self.classes_at], line))
        names = self.given or tuple(sorted(set().union(*self.rows.values())))
        number = {name: at for at, name in enumerate(names, start=1)}
        return self._table(
            names, {key: tuple(sorted(number[name] for name in found)) for key, found in self.rows.items()}
        )

    def _note_columns(self, given: tuple[str, ...]) -> None:
        """Say where the columns are not the classes: a name that is spelt otherwise loses its class."""
        for at, name in enumerate(self.columns):
            if at > 0 and at != self.split_at and name and name not in given:
                what = f"{name!r} is no class of classes.txt; the column is not read"
                remedy = "nothing to do, or spell it as classes.txt does"
                self.problems.add(Problem("column of no class", self.path.name, what, remedy, is_error=False))
        for name in given:
            if name not in self.by_column:
                what = f"class {name!r} has no column, so no image has it"
                remedy = "nothing to do, or add its column"
                self.problems.add(
                    Problem("class without column", self.path.name, what, remedy, is_error=False)
                )

    def _cells(self, text: str, line: int) -> list[str] | None:
        """The cells of a row; None where all are empty and, with the reason listed, where it is none."""
        try:
            cells = _cells_of(text, self.delimiter)
            return cells if any(cell.strip() for cell in cells) else None
        except csv.Error as error:
            what = f"not a row of a table ({error})"
            return self._pass_over(line, what, "mend the row; a quote ends on the line it began on")

    def _image_id(self, cells: list[str], line: int) -> str | None:
        """The id of a row; None, with the reason listed, for a row of no use."""
        if len(cells) != len(self.columns):
            return self._pass_over(line, f"{len(cells)} cells where the header has {len(self.columns)}")
        image_id = image_id_of(cells[0])
        if image_id is None:
            return self._pass_over(line, f"{cells[0]!r} names no image inside images/")
        if self.split_at is not None and (split := cells[self.split_at].strip()):
            if not is_image_id(split):  # files and folders are called after it
                return self._pass_over(line, f"{split!r} can be no split's name")
            before = self.splits.setdefault(image_id, split)
            if before != split:
                self._pass_over(line, f"{image_id} is in split {before!r} above and in {split!r} here")
        return image_id

    def _names(self, cell: str, line: int) -> set[str]:
        cell = cell.strip()
        whole = self.given is not None and cell in self.given
        names = {cell} if whole else {part.strip() for part in re.split(r"[;|,]", cell)} - {""}
        unknown = names - set(self.given) if self.given is not None else set()
        for name in sorted(unknown):
            self._pass_over(
                line, f"class {name!r} is not in classes.txt", "mend the name, or add it to classes.txt"
            )
        return names - unknown

    def _read_columns(self, lines: Iterable[str]) -> LabelTable:
        """One column a class. With 1,000 of them the plain cell-by-cell way takes seconds: see `_digits`."""
        names = self.given or tuple(self.by_column)
        number = {name: at for at, name in enumerate(names, start=1)}
        numbers = np.array([number[name] for name in self.by_column])
        places = np.array(list(self.by_column.values()))
        found: dict[str, tuple[int, ...]] = {}
        for line, text in enumerate(lines, start=2):
            quick = self._digits(text.rstrip("\r\n"))
            cells = quick[0] if quick else self._cells(text, line)
            image_id = cells and self._image_id(cells, line)
            if not image_id:
                continue
            marked = (
                quick[1][places] if quick else np.array([self._is_yes(cells[at], at, line) for at in places])
            )
            found[image_id] = tuple(sorted({*found.get(image_id, ()), *numbers[marked].tolist()}))
        return self._table(names, found)

    def _digits(self, text: str) -> tuple[list[str], np.ndarray] | None:
        """A row `name,0,1,0,...` as (cells, flags (columns,) bool), or None if it is not that plain."""
        name, mark, rest = text.partition(self.delimiter)
        if self.split_at is not None or '"' in name or len(rest) != 2 * len(self.columns) - 3:
            return None
        digits = np.frombuffer(rest.encode(), np.uint8)
        if (
            len(digits) != len(rest)
            or (digits[1::2] != ord(mark)).any()
            or (digits[::2] >> 1 != ord("0") >> 1).any()
        ):
            return None
        flags = np.concatenate([[False], digits[::2] == ord("1")])
        return [name] + [""] * (len(self.columns) - 1), flags

    def _is_yes(self, cell: str, column: int, line: int) -> bool:
        cell = cell.strip().lower()
        if cell not in _YES and cell not in _NO:
            self._pass_over(line, f"{cell!r} in column {self.columns[column]!r}", "write 1 or 0")
        return cell in _YES

    def _table(self, names: tuple[str, ...], found: dict[str, tuple[int, ...]]) -> LabelTable:
        splits = None if self.split_at is None else self.splits
        return LabelTable(names, found, splits, self.problems)

    def _pass_over(self, line: int, what: str, remedy: str = "mend the row") -> None:
        self.problems.add(
            Problem("row of labels.csv passed over", f"{self.path.name}, line {line}", what, remedy)
        )
