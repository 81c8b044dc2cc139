import pytest
import torch
from torch import nn

from secateurs._errors import ConfigError
from secateurs.training import TrainOptions
from secateurs.training._compile import compiled


def test_plain_is_the_model_itself() -> None:
    model = nn.Linear(2, 2)
    assert compiled(model, TrainOptions(), torch.device("cpu")) is model


def test_graphs_without_cuda_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"train\.cuda_graphs: wanted a CUDA device, got device 'cpu'"):
        compiled(nn.Linear(2, 2), TrainOptions(cuda_graphs=True), torch.device("cpu"))


def test_graphs_are_torchs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    def watch(model: nn.Module, **options: object) -> nn.Module:
        asked.append(options)
        return model

    monkeypatch.setattr(torch, "compile", watch)
    compiled(nn.Linear(2, 2), TrainOptions(cuda_graphs=True), torch.device("cuda"))
    compiled(nn.Linear(2, 2), TrainOptions(compile=True), torch.device("cpu"))
    assert asked == [{"mode": "reduce-overhead", "dynamic": False}, {}]
