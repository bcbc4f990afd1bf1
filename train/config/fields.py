"""Configs to and from plain values: every field checked against its annotation."""

import dataclasses
import json
import types
import typing
from typing import Any

from orandnet_core.errors import ConfigError


def check(condition: bool, message: str) -> None:
    """Raise ConfigError with the message unless the condition holds."""
    if not condition:
        raise ConfigError(message)


def to_dict(config: Any) -> dict[str, Any]:
    """A config as plain dicts, lists and numbers, for JSON."""
    return dataclasses.asdict(config)


def from_dict(values: dict[str, Any], kind: type) -> Any:
    """A config from what `to_dict` gave, every field checked.

    Raises:
        ConfigError: an unknown field, or a value of the wrong type.
    """
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise ConfigError(f"{kind.__name__} has no field {unknown[0]!r}; it has {', '.join(hints)}")
    try:
        return kind(**{name: _coerce(value, hints[name], name) for name, value in values.items()})
    except TypeError as error:
        raise ConfigError(f"{kind.__name__}: {error}") from None


def override(config: Any, assignments: dict[str, Any]) -> Any:
    """A copy with some fields changed: `{"cnn.epochs": "3", "seed": 1}`.

    Values may be strings, as a command line gives them.

    Raises:
        ConfigError: no such field, or a value that does not fit it.
    """
    for path, value in assignments.items():
        config = _replace(config, path.split("."), value, path)
    return config


def _replace(config: Any, path: list[str], value: Any, full: str) -> Any:
    hints = typing.get_type_hints(type(config))
    name, rest = path[0], path[1:]
    if name not in hints:
        raise ConfigError(f"no field {full!r}: {type(config).__name__} has {', '.join(hints)}")
    if rest:
        if not dataclasses.is_dataclass(hints[name]):
            raise ConfigError(f"no field {full!r}: {name} has no parts")
        return dataclasses.replace(config, **{name: _replace(getattr(config, name), rest, value, full)})
    return dataclasses.replace(config, **{name: _coerce(value, hints[name], full)})


def _coerce(value: Any, hint: Any, name: str, *, nested: bool = False) -> Any:
    """A JSON value or a command line's string as the annotated type; `nested` where it is part of a tuple."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else from_dict(value, hint)
    if origin in (typing.Union, types.UnionType):
        if value is None or (isinstance(value, str) and value.lower() in ("none", "")):
            return None
        return _coerce(value, next(arg for arg in args if arg is not type(None)), name)
    if origin is tuple:
        written = isinstance(value, str)
        items = _parts(value, nested) if written else list(value)
        kinds = [args[0]] * len(items) if args[-1] is Ellipsis else list(args)
        if len(kinds) != len(items):
            raise ConfigError(f"{name} takes {len(kinds)} values, got {value!r}")
        return tuple(
            _plain(item) if written and kind is Any else _coerce(item, kind, name, nested=True)
            for item, kind in zip(items, kinds, strict=True)
        )
    if hint is bool:
        named = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if str(value).lower() in named:
            return named[str(value).lower()]
    elif hint in (int, float, str):
        try:
            # A float such as 2.5 must not become the integer 2 in silence.
            if not (hint is int and isinstance(value, float) and value != int(value)):
                return hint(value)
        except (TypeError, ValueError):
            pass
    raise ConfigError(f"{name} takes {getattr(hint, '__name__', hint)}, got {value!r}")


def _plain(text: str) -> Any:
    """A number, `true` or `false` as such; any other text stays text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text


def _parts(text: str, nested: bool) -> list[str]:
    """`a,b` of a tuple, `a:b` of a tuple in it: pairs are written `0.3:0.5,0.7:1`."""
    return [part for part in text.split(":" if nested else ",") if part]
