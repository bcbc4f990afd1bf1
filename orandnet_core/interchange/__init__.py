"""Other systems' CAM files in; masks and CAMs out in the formats that others read."""

from orandnet_core.interchange.importing import MapImport, coverage
from orandnet_core.interchange.listing import SUFFIXES, Listing, list_maps
from orandnet_core.interchange.raw import FORMATS
from orandnet_core.interchange.reading import CHOICES, OPTIONS, Reading
from orandnet_core.interchange.recognising import Question, Recognised, recognise_maps

__all__ = [
    "CHOICES",
    "FORMATS",
    "OPTIONS",
    "SUFFIXES",
    "Listing",
    "MapImport",
    "Question",
    "Reading",
    "Recognised",
    "coverage",
    "list_maps",
    "recognise_maps",
]
