"""Views of a page kept by name: an address that opens it as it was, in `workspace/views/<name>.json`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

from orandnet_core.errors import ConfigError
from train.named_files import check_name, delete_named, read_named, write_named

__all__ = ["SavedView", "delete_view", "save_view", "saved_views"]

_FOLDER = "views"


@dataclass(frozen=True, kw_only=True)
class SavedView:
    """A page with all that its address says.

    Attributes:
        name: what the user calls it; 1 to 40 characters on one line.
        page: the page's path in the address, such as `compare`.
        query: the address' values by name, in their order.

    Raises:
        ConfigError: a name that is empty, too long or of several lines.
    """

    name: str
    page: str
    query: Mapping[str, tuple[str, ...]]

    def __post_init__(self):
        check_name(self.name, "view")

    @property
    def address(self) -> str:
        """Relative to the app's own: `compare?split=val&filter=class~cat`."""
        return f"{self.page}?{urlencode(self.query, doseq=True)}"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `dataclasses.asdict`.

        Raises:
            ConfigError: a field that is missing, or of the wrong kind.
        """
        try:
            query = {str(key): tuple(map(str, found)) for key, found in values["query"].items()}
            return cls(name=str(values["name"]), page=str(values["page"]), query=query)
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"no view: {error!r}; save it again") from None


def save_view(view: SavedView) -> Path:
    """Write a view, in place of one of the same name; return its file.

    Raises:
        StoreError: the disk refuses.
    """
    return write_named(_FOLDER, view.name, asdict(view))


def saved_views(page: str) -> dict[str, SavedView]:
    """The views of a page by name, in the order of their names; files that are none are left out."""
    found = {}
    for values in read_named(_FOLDER):
        try:
            view = SavedView.from_dict(values)
        except ConfigError:
            continue
        if view.page == page:
            found[view.name] = view
    return dict(sorted(found.items(), key=lambda item: item[0].casefold()))


def delete_view(name: str) -> None:
    """Forget a view; nothing happens if there is none of that name."""
    delete_named(_FOLDER, name)
