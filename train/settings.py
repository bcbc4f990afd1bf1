"""Named fusion settings: what was tuned on the Fuse page, kept as JSON and handed to recipes.

One file a setting, `workspace/settings/<name>.json`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from orandnet_core.errors import ConfigError
from orandnet_core.fusion import Fusion
from train.named_files import check_name, delete_named, read_named, write_named

_FOLDER = "settings"


@dataclass(frozen=True, kw_only=True)
class FusionSetting:
    """A fusion with the thresholds that go with it.

    Attributes:
        name: what the user calls it; 1 to 40 characters on one line.
        fusion: the rule and its parameters.
        background_threshold: of the fused map, in [0, 1].
        cnn_threshold, vit_threshold: of the single networks' maps, in [0, 1].
        or_threshold, and_threshold: of the trimap, in [0, 1].
        trimap: make trimaps instead of masks.

    Raises:
        ConfigError: a name that is empty, too long or of several lines, or a threshold outside [0, 1].
    """

    name: str
    fusion: Fusion
    background_threshold: float
    cnn_threshold: float
    vit_threshold: float
    or_threshold: float
    and_threshold: float
    trimap: bool = False

    def __post_init__(self):
        check_name(self.name, "setting")
        for field in fields(self):
            if field.name.endswith("_threshold") and not 0 <= getattr(self, field.name) <= 1:
                raise ConfigError(f"{field.name} is {getattr(self, field.name)}; it must be in [0, 1]")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; `from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "FusionSetting":
        """The inverse of `as_dict`.

        Raises:
            ConfigError: a field that is missing, unknown or of the wrong kind.
        """
        names = {field.name for field in fields(cls)}
        if names != set(values):
            raise ConfigError(
                f"a setting has the fields {', '.join(sorted(names))}; found {', '.join(sorted(values))}"
            )
        try:
            thresholds = {name: float(values[name]) for name in names if name.endswith("_threshold")}
            return cls(
                name=str(values["name"]),
                fusion=Fusion.from_dict(values["fusion"]),
                trimap=bool(values["trimap"]),
                **thresholds,
            )
        except (TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"setting {values.get('name')!r}: {error}") from None

    def as_overrides(self) -> dict[str, Any]:
        """The fields of a recipe that this setting sets, as `train.config.override` takes them.

        Raises:
            ConfigError: the reference offset is on, which recipes do not offer.
        """
        chosen = self.fusion.as_dict()
        if not chosen.pop("clip"):
            raise ConfigError(
                "the reference offset reproduces published numbers only; turn it off for a recipe"
            )
        overrides = {f"fusion.{name}": value for name, value in chosen.items()}
        overrides["fusion.background_threshold"] = self.background_threshold
        if self.trimap:
            overrides["ir_labels.source"] = "trimap"
            overrides["ir_labels.foreground_threshold"] = self.and_threshold
            overrides["ir_labels.background_threshold"] = self.or_threshold
        return overrides


def save_setting(setting: FusionSetting) -> Path:
    """Write a setting, in place of one of the same name; return its file.

    Raises:
        StoreError: the disk refuses.
    """
    return write_named(_FOLDER, setting.name, setting.as_dict())


def saved_settings() -> dict[str, FusionSetting]:
    """All settings by name, in the order of their names; files that cannot be read are left out."""
    found = {}
    for values in read_named(_FOLDER):
        try:
            setting = FusionSetting.from_dict(values)
        except (ValueError, TypeError, AttributeError):  # ConfigError is a ValueError
            continue
        found[setting.name] = setting
    return dict(sorted(found.items(), key=lambda item: item[0].casefold()))


def delete_setting(name: str) -> None:
    """Forget a setting; nothing happens if there is none of that name."""
    delete_named(_FOLDER, name)
