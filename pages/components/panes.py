"""An image's maps as a scene of the viewer: both networks, any further sources, the ground truth."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from pages.components.loaders import Maps
from pages.components.view_controls import USUAL_PANES, view_setting
from pages.components.viewer import Live, viewer
from pages.components.viewer_scene import Scene, Source


def pair_sources(maps: Maps, subtitles: Mapping[str, str]) -> list[Source]:
    """Both networks' maps as sources; `subtitles` by `cnn` and `vit`."""
    return [
        Source("cnn", "CNN CAM", maps.cnn, subtitle=subtitles.get("cnn", ""), short="CNN"),
        Source("vit", "ViT CAM", maps.vit, subtitle=subtitles.get("vit", ""), short="ViT"),
    ]


def show_image(
    maps: Maps,
    class_names: tuple[str, ...],
    *,
    key: str,
    subtitles: Mapping[str, str],
    extra: Sequence[Source] = (),
) -> None:
    """Draw the viewer of one image with the Inspect page's controls.

    Args:
        maps: the image and both networks' CAMs.
        class_names: the data set's.
        key: of the viewer.
        subtitles: beside the titles of `cnn` and `vit`.
        extra: further sources.
    """
    sources = [*pair_sources(maps, subtitles), *extra]
    usual = [*USUAL_PANES, *(source.key for source in extra)]
    scene = Scene(np.asarray(maps.class_ids), class_names, sources, maps.mask)
    show_scene(maps.photo, scene, key=key, usual=usual)


def show_scene(
    photo: np.ndarray,
    scene: Scene,
    *,
    key: str,
    usual: Sequence[str],
    address: str = "",
    hidden: Collection[str] = (),
) -> None:
    """Draw the viewer of any sources of an image, with the Inspect page's controls.

    Args:
        photo: (H, W, 3) uint8 RGB.
        scene: its maps and masks.
        key: of the viewer.
        usual: keys of the panes that are shown unless the person chose others.
        address, hidden: see `view_setting`.
    """
    state = view_setting(key, scene.class_ids, scene.class_names, scene.sources, address, hidden)
    state.to_address()
    live = Live(scene, state.values(), state.described(), usual, state.turn)
    viewer(photo, key=key, live=live, on_setting=state.take)
