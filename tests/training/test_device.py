import logging
import sys

import pytest
import torch

from secateurs._errors import ConfigError
from secateurs.training._device import make_fabric, resolve_device


def test_auto_is_cuda_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu")


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert resolve_device("cuda:0") == torch.device("cuda", 0)
    with pytest.raises(ConfigError, match="a device 'cuda:1' on this machine, got 1 CUDA devices"):
        resolve_device("cuda:1")


def test_a_missing_engine_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with pytest.raises(ConfigError, match=r"pip install 'secateurs\[train\]'"):
        make_fabric(torch.device("cpu"), "32")


def test_the_engine_is_quiet(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        fabric = make_fabric(torch.device("cpu"), "bf16")
    assert fabric.device == torch.device("cpu")
    assert not caplog.records
