import torch
from torch import Tensor

from secateurs.training._ema import Average
from tests.training._toys import Network, make_network, tensors_of


def move(model: Network, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(torch.randn(tensor.shape, generator=generator))


def test_the_average_is_the_formula_written_out() -> None:
    model = make_network()
    average, decay = Average(model, 0.3), 0.3
    expected = {name: value.double() for name, value in tensors_of(model).items() if value.is_floating_point()}
    for step in range(6):
        move(model, step)
        average.update(step)
        # 0.1, 0.18, 0.25, then 0.3 for good.
        kept = min(decay, (1 + step) / (10 + step))
        now = tensors_of(model)
        expected = {name: kept * old + (1 - kept) * now[name].double() for name, old in expected.items()}
    assert average.tensors().keys() == expected.keys()
    for name, value in average.tensors().items():
        torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-6)


def test_statistics_are_averaged_and_counters_are_not() -> None:
    names = Average(make_network(), 0.9).tensors().keys()
    assert {"norm.running_mean", "norm.running_var", "seen"} < names
    assert "norm.num_batches_tracked" not in names


def test_it_is_lent_and_taken_back() -> None:
    model = make_network()
    average = Average(model, 0.5)
    at_first = tensors_of(model)
    move(model, 1)
    moved = tensors_of(model)
    with average.lent():
        assert_equal(tensors_of(model), at_first)
    assert_equal(tensors_of(model), moved)
    average.give()
    assert_equal(tensors_of(model), at_first)


def test_state_goes_over_to_another_and_keeps_the_order_of_memory() -> None:
    model, other = make_network(), make_network(seed=1)
    other.conv.weight.data = other.conv.weight.data.contiguous(memory_format=torch.channels_last)
    first, second = Average(model, 0.5), Average(other, 0.5)
    move(model, 1)
    first.update(20)
    second.load(first.tensors())
    assert_equal(second.tensors(), first.tensors())
    assert second.tensors()["conv.weight"].stride() == other.conv.weight.stride()


def assert_equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert all(torch.equal(value, second[name]) for name, value in first.items())
