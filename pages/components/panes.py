"""An image's maps as a scene of the viewer: both networks, any further sources, the ground truth."""

from collections.abc import Mapping, Sequence

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
    scene = Scene(np.asarray(maps.class_ids), class_names, sources, maps.mask)
    state = view_setting(key, maps.class_ids, class_names, sources)
    state.to_address()
    usual = [*USUAL_PANES, *(source.key for source in extra)]
    live = Live(scene, state.values(), state.described(), usual, state.turn)
    viewer(maps.photo, key=key, live=live, on_setting=state.take)
