"""Every error that ORANDNet raises on purpose.

OrandnetError
├── ShapeError        arrays that must fit together do not
├── RangeError        a value lies outside what the operation accepts
├── DataError         a data set, image, mask or label file cannot be used
├── WeightsError      weights cannot be found, read or fitted to a network
├── StoreError        a stored CAM or mask is missing, damaged or of another kind
├── ConfigError       a recipe or an override is wrong
├── JobError          a background job cannot be started or steered
└── CheckpointError   a checkpoint cannot be read or belongs to another run

A message says what was wrong, the value found, and what to do next.
"""

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DataError",
    "JobError",
    "OrandnetError",
    "RangeError",
    "ShapeError",
    "StoreError",
    "WeightsError",
]


class OrandnetError(Exception):
    """Base class: catch it to catch everything that this package raises on purpose."""


class ShapeError(OrandnetError, ValueError):
    """Arrays that must fit together do not; the message gives both shapes."""


class RangeError(OrandnetError, ValueError):
    """A value lies outside what the operation accepts; the message gives value and range."""


class DataError(OrandnetError):
    """A data set, image, mask or label file cannot be used; the message names the file."""


class WeightsError(OrandnetError):
    """Weights cannot be found, read or fitted; the message names the ways to get them."""


class StoreError(OrandnetError):
    """A stored CAM or mask is missing, damaged or of another kind."""


class ConfigError(OrandnetError, ValueError):
    """A recipe or an override is wrong; the message names the field and what it takes."""


class JobError(OrandnetError):
    """A background job cannot be started or steered."""


class CheckpointError(OrandnetError):
    """A checkpoint cannot be read or belongs to another run."""
