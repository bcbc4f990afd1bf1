"""What a page gave the viewer, for tests without a browser."""

import pytest

from pages.components.viewer_scene import Scene, Source


class Shown(dict):
    """The last call: `photo`, `panes`, `key`, `live`, `on_setting`."""

    @property
    def scene(self) -> Scene:
        return self["live"].scene

    @property
    def setting(self) -> dict:
        return self["live"].setting

    @property
    def sources(self) -> dict[str, Source]:
        return {source.key: source for source in self.scene.sources}

    def let_go(self, **changed: object) -> None:
        """What the browser does when a control is let go; run the app after it."""
        self["on_setting"]({**self.setting, **changed, "turn": self["live"].turn + 1})


def catch_viewer(monkeypatch: pytest.MonkeyPatch, *modules: str) -> Shown:
    """Put this in the place of the viewer in some modules of `pages`."""
    seen = Shown()

    def viewer(photo, panes=(), **settings):
        seen.update(photo=photo, panes={pane.key: pane for pane in panes}, **settings)

    for module in modules:
        monkeypatch.setattr(f"pages.{module}.viewer", viewer)
    return seen
