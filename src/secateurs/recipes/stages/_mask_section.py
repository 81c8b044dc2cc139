"""The masks that a recipe may ask for, and what its results say of them."""

from dataclasses import fields
from typing import Any

from pydantic.dataclasses import dataclass as checked_dataclass

from secateurs.masks import MaskOptions, UnitMasks
from secateurs.recipes._section import STRICT_DATACLASS, SaysWhere

__all__ = ["MASKS_FILE", "MaskSection", "mask_results"]

MASKS_FILE = "masks.safetensors"


# Inherits, so that every option of the masks room is an option here, with nothing said twice.
@checked_dataclass(frozen=True, kw_only=True, config=STRICT_DATACLASS)
class MaskSection(SaysWhere, MaskOptions):
    """Which weights go: every option of `MaskOptions`."""

    def plain(self) -> MaskOptions:
        """The same options as the masks room knows them."""
        return MaskOptions(**{option.name: getattr(self, option.name) for option in fields(MaskOptions)})


def mask_results(masks: UnitMasks | None) -> dict[str, Any]:
    """For run.json: what was asked, and the fraction of units that each layer lost."""
    if masks is None:
        return {}
    units = sum(kept.numel() for kept in masks.units.values())
    left = sum(int(kept.sum()) for kept in masks.units.values())
    said = {name: getattr(masks.options, name) for name in ("granularity", "scope", "rank", "signed")}
    found = {"origin": masks.origin, "asked": masks.options.rate, "removed": 1 - left / units, "layers": masks.rates}
    return {"mask": found | said}
