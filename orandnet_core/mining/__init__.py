"""What went wrong and where: every wrong pixel in one kind, slices of them, and what mending them gives."""

from orandnet_core.mining.backgrounds import Backgrounds, learn_backgrounds
from orandnet_core.mining.counts import ErrorCounts, PixelErrors, pixel_errors
from orandnet_core.mining.kinds import KINDS, Kind, band_px_of, error_kinds
from orandnet_core.mining.miner import Mined, backgrounds_of, mine
from orandnet_core.mining.slices import FACETS, Slice, images_of, ranked, slice_label, where_of

__all__ = [
    "FACETS",
    "KINDS",
    "Backgrounds",
    "ErrorCounts",
    "Kind",
    "Mined",
    "PixelErrors",
    "Slice",
    "backgrounds_of",
    "band_px_of",
    "error_kinds",
    "images_of",
    "learn_backgrounds",
    "mine",
    "pixel_errors",
    "ranked",
    "slice_label",
    "where_of",
]
