"""Class activation maps of a classifier: one file a method, one entry point for all."""

from orandnet_core.cams.compute import compute_cam
from orandnet_core.cams.methods import METHODS, NORMALISATIONS, Method, method_for
from orandnet_core.cams.output_stride import with_output_stride
from orandnet_core.cams.package import PACKAGE_METHODS, package_cam

__all__ = [
    "METHODS",
    "NORMALISATIONS",
    "PACKAGE_METHODS",
    "Method",
    "compute_cam",
    "method_for",
    "package_cam",
    "with_output_stride",
]
