"""Changes other than cuts: saved among the plans, carried out again in their order."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from secateurs import FileError, apply, load, save, trace
from secateurs.surgery import history, lineage, plans_of, record, register_change
from secateurs.surgery._files import _entry


@dataclass(frozen=True, kw_only=True)
class Widened:
    """A linear layer behind the last one, as wide as the outputs are by then."""

    width: int
    name: str = "tests.widened"

    def to_json(self) -> dict[str, Any]:
        return {"width": self.width}

    def carry_out(self, model: nn.Module) -> None:
        model.append(nn.Linear(self.width, self.width))  # type: ignore[operator]


def _read(content: Mapping[str, Any]) -> Widened:
    return Widened(width=content["width"])


register_change("tests.widened", _read)


def factory() -> nn.Sequential:
    """Two layers."""
    return nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 4))


def test_cuts_and_changes_are_replayed_in_their_order(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3)
    model = factory()
    model = apply(model, trace(model, x).plan({"0": [1]}), inplace=True).model  # type: ignore[assignment]
    change = Widened(width=4)
    change.carry_out(model)
    record(model, change)
    model = apply(model, trace(model, x).plan({"1": [0, 2]}), inplace=True).model  # type: ignore[assignment]
    assert [type(entry).__name__ for entry in history(model)] == ["Plan", "Widened", "Plan"]
    save(model, tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors", factory)
    torch.testing.assert_close(again(x), model(x), rtol=0, atol=0)
    assert history(again)[1] == change
    assert len(plans_of(again)) == 2
    assert lineage(again).places("1.weight")[0].tolist() == [1, 3]


def test_changes_that_are_not_known_are_refused(tmp_path: Path) -> None:
    model = factory()
    record(model, Widened(width=4, name="tests.unknown"))
    save(model, tmp_path / "m.safetensors")
    with pytest.raises(FileError, match=r"unknown change 'tests.unknown'"):
        load(tmp_path / "m.safetensors", factory)
    with pytest.raises(ValueError, match="damaged change"):
        _entry({"change": "tests.widened"}, "here")
