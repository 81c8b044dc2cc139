import pytest
import torch

from secateurs.training import _precision
from secateurs.training._precision import precision_for, resolve_precision
from tests.training._toys import make_network

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), "32"), ((8, 0), "bf16"), ((9, 0), "bf16")])
def test_auto_on_a_gpu_goes_by_its_generation(
    capability: tuple[int, int], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert resolve_precision("auto", GPU) == expected


@pytest.mark.parametrize(("tiles", "expected"), [(True, "bf16"), (False, "32")])
def test_auto_on_a_cpu_goes_by_its_tiles(tiles: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert resolve_precision("auto", CPU) == expected
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert resolve_precision("auto", CPU) == "32"


def test_auto_is_careful_elsewhere() -> None:
    assert resolve_precision("auto", torch.device("mps")) == "32"


def test_a_precision_that_was_asked_for_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_precision, "_has_amx", lambda: True)
    assert resolve_precision("32", CPU) == "32"
    monkeypatch.setattr(_precision, "_has_amx", lambda: False)
    assert resolve_precision("bf16", CPU) == "bf16"


def test_auto_leaves_other_weights_than_single_ones_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_precision, "_has_amx", lambda: True)
    assert precision_for(make_network(), "auto", CPU) == "bf16"
    assert precision_for(make_network().double(), "auto", CPU) == "32"
    assert precision_for(make_network().double(), "bf16", CPU) == "bf16"
