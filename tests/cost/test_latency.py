import re

import pytest
import torch
from torch import Tensor, nn

from secateurs._errors import ConfigError
from secateurs.cost._latency import Latency, LatencyPair, LatencyRow, latency, latency_pair


class Watching(nn.Module):
    """Notes how it is called."""

    def __init__(self, name: str = "", log: list[str] | None = None) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
        self.name, self.log = name, log
        self.inputs: list[tuple[Tensor, Tensor | None]] = []
        self.modes: set[tuple[bool, bool, bool]] = set()

    def forward(self, x: Tensor, *, mask: Tensor | None = None, scale: Tensor | None = None) -> Tensor:
        if self.log is not None:
            self.log.append(self.name)
        self.inputs.append((x, mask))
        self.modes.add((self.training, self.layer[1].training, torch.is_inference_mode_enabled()))
        result: Tensor = self.layer(x)
        return result if scale is None else result * scale


def test_rows_say_what_was_measured() -> None:
    result = latency(nn.Linear(4, 4), (torch.randn(2, 4),), batch_sizes=(1, 3), runs=7, warmup=2)
    assert [(row.batch_size, row.runs) for row in result.rows] == [(1, 7), (3, 7)]
    assert all(0 < row.low_ms <= row.median_ms <= row.high_ms for row in result.rows)
    assert result.warmup == 2
    assert result.versions["torch"] == torch.__version__
    assert set(result.versions) == {"python", "torch"}
    assert result.hardware.endswith(f"{torch.get_num_threads()} threads")


def test_the_model_sees_each_batch_size_as_often_as_asked() -> None:
    model = Watching()
    latency(model, (torch.randn(2, 4),), batch_sizes=(1, 5), runs=3, warmup=2)
    assert [tuple(x.shape) for x, _ in model.inputs] == [(1, 4)] * 5 + [(5, 4)] * 5


def test_only_tensors_with_the_examples_batch_are_repeated() -> None:
    model, x, mask, scale = Watching(), torch.randn(2, 4), torch.randn(2, 1), torch.randn(4)
    latency(model, (x,), {"mask": mask, "scale": scale}, batch_sizes=(3,), runs=1, warmup=0)
    ((seen, seen_mask),) = model.inputs
    assert torch.equal(seen, x[[0, 1, 0]])
    assert seen_mask is not None
    assert torch.equal(seen_mask, mask[[0, 1, 0]])


def test_memory_order_is_kept() -> None:
    model, x = nn.Conv2d(3, 4, 3), torch.randn(2, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    seen: list[bool] = []
    model.register_forward_pre_hook(
        lambda _module, args: seen.append(args[0].is_contiguous(memory_format=torch.channels_last))
    )
    latency(model, (x,), batch_sizes=(1, 4), runs=1, warmup=0)
    assert seen == [True, True]


def test_runs_in_eval_and_inference_mode_and_restores_every_flag() -> None:
    model = Watching()
    model.layer[1].eval()
    flags = [module.training for module in model.modules()]
    latency(model, (torch.randn(1, 4),), batch_sizes=(1,), runs=1, warmup=0)
    assert model.modes == {(False, False, True)}
    assert [module.training for module in model.modules()] == flags
    assert not torch.is_inference_mode_enabled()


def test_flags_come_back_when_the_model_fails() -> None:
    model = Watching()
    with pytest.raises(RuntimeError):
        latency(model, (torch.randn(1, 5),))
    assert all(module.training for module in model.modules())


def test_a_pair_takes_turns() -> None:
    log: list[str] = []
    a, b = Watching("a", log), Watching("b", log)
    pair = latency_pair(a, b, (torch.randn(1, 4),), batch_sizes=(1, 2), runs=3, warmup=1)
    assert log == ["a", "b"] * 8
    for first, second, ratio in zip(pair.a.rows, pair.b.rows, pair.ratios, strict=True):
        assert (first.batch_size, first.runs) == (second.batch_size, second.runs)
        assert ratio == pytest.approx(second.median_ms / first.median_ms)
    assert a.training
    assert b.training


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"batch_sizes": ()}, "latency batch_sizes"),
        ({"batch_sizes": (0,)}, "latency batch_sizes"),
        ({"runs": 0}, "latency runs"),
        ({"warmup": -1}, "latency warmup"),
    ],
)
def test_numbers_out_of_range_are_refused(options: dict[str, int], where: str) -> None:
    with pytest.raises(ConfigError, match=where):
        latency(nn.Linear(4, 4), (torch.randn(1, 4),), **options)  # type: ignore[arg-type]


def test_arguments_without_a_tensor_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"args=\(x,\)"):
        latency(nn.Linear(4, 4), (3,))


ROW = LatencyRow(batch_size=64, median_ms=12.3456, low_ms=11.0, high_ms=14.5, runs=30)
RESULT = Latency(rows=(ROW,), hardware="Some CPU, 2 threads", versions={"python": "3.12", "torch": "2.13"}, warmup=5)


def test_the_rate_is_operations_by_the_middle_time() -> None:
    """64 samples of a million multiply-adds in 12.3456 ms."""
    assert ROW.gops_per_s(1_000_000) == pytest.approx(64 * 2 * 0.001 / 0.0123456)


def test_the_table() -> None:
    assert str(RESULT).splitlines() == [
        "Some CPU, 2 threads; python 3.12, torch 2.13; 5 warm-up calls; low and high: 5th and 95th percentile",
        " batch  median ms     low ms    high ms  runs",
        "    64     12.346     11.000     14.500    30",
    ]


def test_the_table_of_a_pair() -> None:
    lines = str(LatencyPair(a=RESULT, b=RESULT, ratios=(0.5,))).splitlines()
    assert re.match(r"model a +64 +12\.346", lines[2])
    assert re.match(r"model b +64 +12\.346.* 0\.500$", lines[3])
    assert len({len(line) for line in (lines[1], lines[3])}) == 1
