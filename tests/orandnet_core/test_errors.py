"""The exception tree: complete, public and drawn as it is."""

import inspect
import re

from orandnet_core import errors


def _public_classes() -> dict[str, type]:
    return {
        name: thing
        for name, thing in vars(errors).items()
        if not name.startswith("_") and inspect.isclass(thing) and thing.__module__ == errors.__name__
    }


def test_all_names_every_public_error():
    assert sorted(_public_classes()) == errors.__all__


def test_one_base_catches_them_all():
    assert all(issubclass(error, errors.OrandnetError) for error in _public_classes().values())


def test_the_drawn_tree_is_the_real_one():
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__)
    assert sorted([*drawn, "OrandnetError"]) == errors.__all__
