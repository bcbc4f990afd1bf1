"""The command that makes a figure again, as it is kept beside it."""

import argparse
import re
import shlex
from collections.abc import Collection
from pathlib import Path

from train.open_run import DEFAULT_RECIPE, own_config
from train.workspace import workspace_dir

ABOUT = ("recipe", "run_dir", "data", "weights")  # what is worked on, which comes first
# Where results go as well, how the work is shared, what is thrown away before it: no figure depends on them.
IDLE = (
    "help", "results", "pictures", "sheets", "submission", "competition", "tensorboard", "anew", "shard",
)  # fmt: skip
_ELSEWHERE = re.compile(
    r"(?<![^=,])(?:/|~|\.\.)[^=,]*"
)  # a path of this machine, whole or in FIELD=PATH,PATH


def kept_command(args: argparse.Namespace, command: str = "", only: Collection[str] = ()) -> str:
    """The command line that these arguments came from, for others to run.

    Defaults are left out, and so is what no figure depends on. The data's root is `<root>`, a path in
    the workspace starts with `workspace/`, and any other of this machine is its name alone, `<name>`.

    Args:
        args: of a parser that `add_recipe_arguments` was given.
        command: another command of `python -m train` in place of the arguments' own.
        only: names of the arguments to take; all by default.
    """
    parser: argparse.ArgumentParser = args.parser
    actions = [
        action
        for action in parser._actions  # argparse has no other list of its options
        if action.dest not in IDLE and (not only or action.dest in only)
    ]
    words = parser.prog.split() if not command else ["python -m train", command]
    for action in sorted(actions, key=_place_in_line):
        value = getattr(args, action.dest)
        if action.dest == "recipe" and not value and not own_config(args):
            value = DEFAULT_RECIPE
        if value and not _is_same(value, action.default):
            words += _words(action, value)
    return " ".join(words)


def _place_in_line(action: argparse.Action) -> int:
    if action.dest in ABOUT:
        return ABOUT.index(action.dest)
    return len(ABOUT) + (action.dest == "set")


def _is_same(value: object, default: object) -> bool:
    return (tuple(value) if isinstance(value, list) else value) == default


def _words(action: argparse.Action, value: object) -> list[str]:
    option = action.option_strings[-1]
    if value is True:
        return [option]
    values = [_told(action.dest, each) for each in (value if isinstance(value, list | tuple) else [value])]
    return [option, *values] if action.nargs == "+" else [word for each in values for word in (option, each)]


def _told(name: str, value: object) -> str:
    """A value without what it says of this machine."""
    if name == "data":
        return "<root>"
    if name == "weights" and value not in ("hub", "none"):
        return "<folder>"
    told = _ELSEWHERE.sub(lambda found: _portable(Path(found[0])), str(value))
    return told if "<" in told else shlex.quote(told)


def _portable(path: Path) -> str:
    path = path.expanduser().resolve()
    if path.is_relative_to(workspace_dir().resolve()):
        return f"workspace/{path.relative_to(workspace_dir().resolve())}"
    return f"<{path.name}>"
