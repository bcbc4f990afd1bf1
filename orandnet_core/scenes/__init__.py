"""The built-in sample: procedural scenes with exact masks, written in VOC devkit layout."""

from orandnet_core.scenes.draw import draw_scene
from orandnet_core.scenes.settings import SCENE_CLASSES
from orandnet_core.scenes.write import is_sample, make_scenes

__all__ = ["SCENE_CLASSES", "draw_scene", "is_sample", "make_scenes"]
