"""Read `classes.txt`: one class name a line."""

from pathlib import Path

from orandnet_core.errors import DataError


def read_class_names(path: Path) -> tuple[str, ...]:
    """The foreground classes, in order: the first is 1 in masks.

    Empty lines are passed over, and so is `background` as the first name, which many lists have.

    Raises:
        DataError: the file is missing, not UTF-8 text, empty, or names a class twice.
    """
    try:
        names = [name for line in path.read_text(encoding="utf-8-sig").splitlines() if (name := line.strip())]
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not readable as UTF-8 text ({error})") from None
    if names and names[0].lower() == "background":
        names = names[1:]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: {twice[0]!r} is there twice; every class needs a name of its own")
    if not names:
        raise DataError(f"{path}: no class names; write one a line")
    return tuple(names)
