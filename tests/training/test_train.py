import random
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs._errors import ConfigError, TrainingError
from secateurs.training import CheckpointOptions, EpochRecord, TrainOptions, evaluate, learning_rate, train
from tests.training._toys import Network, Shuffled, make_network, split_batches, tensors_of, toy_images

TRAIN, TEST = toy_images(512, seed=1), toy_images(256, seed=2)


@pytest.mark.parametrize(
    "options",
    [
        TrainOptions(epochs=4, lr=0.05, device="cpu"),
        TrainOptions(epochs=4, optimizer="adamw", lr=3e-3, schedule="step", milestones=(3,), device="cpu"),
        TrainOptions(epochs=4, lr=0.05, nesterov=True, schedule="constant", label_smoothing=0.1, device="cpu"),
        TrainOptions(epochs=4, lr=0.05, warmup_epochs=1, precision="bf16", channels_last=True, device="cpu"),
    ],
    ids=["sgd", "adamw", "nesterov", "bf16"],
)
def test_it_learns(options: TrainOptions) -> None:
    model, validation = make_network(), split_batches(*TEST)
    before = evaluate(model, validation, device="cpu")
    result = train(model, Shuffled(*TRAIN), options, validation=validation)
    after = evaluate(model, validation, device="cpu", precision=options.precision)
    assert before.accuracy < 0.6
    assert after.accuracy > 0.9
    assert [record.epoch for record in result.history] == [0, 1, 2, 3]
    assert result.history[-1].train_loss < result.history[0].train_loss
    assert result.history[-1].validation_accuracy == pytest.approx(after.accuracy)
    assert result.history[-1].validation_loss == pytest.approx(after.loss, rel=1e-3)


def reference_step(
    parameters: list[nn.Parameter], momenta: list[Tensor | None], lr: float, options: TrainOptions
) -> None:
    """SGD as in torch's documentation, written out."""
    for index, parameter in enumerate(parameters):
        assert parameter.grad is not None
        gradient = parameter.grad.add(parameter.data, alpha=options.weight_decay)
        old = momenta[index]
        momenta[index] = velocity = gradient.clone() if old is None else old.mul(options.momentum).add(gradient)
        update = gradient.add(velocity, alpha=options.momentum) if options.nesterov else velocity
        parameter.data = parameter.data.add(update, alpha=-lr)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_equals_a_loop_written_by_hand(nesterov: bool) -> None:
    images, labels = toy_images(192)
    batches = split_batches(images.double(), labels)
    options = TrainOptions(
        epochs=3, lr=0.1, nesterov=nesterov, weight_decay=0.01, label_smoothing=0.1, warmup_epochs=1, device="cpu"
    )
    # In double precision, since a fused step rounds otherwise than one by hand.
    ours, reference = make_network().double(), make_network().double()
    # Dropout draws from the generator that training seeds for itself.
    ours.drop.p = reference.drop.p = 0.0
    result = train(ours, batches, options)
    parameters = list(reference.parameters())
    momenta: list[Tensor | None] = [None] * len(parameters)
    for epoch in range(3):
        for step, (x, y) in enumerate(batches):
            reference.zero_grad()
            F.cross_entropy(reference(x), y, label_smoothing=0.1).backward()
            reference_step(parameters, momenta, learning_rate(options, epoch, step, 3), options)
    expected = tensors_of(reference)
    for name, value in tensors_of(ours).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-10, atol=1e-12)
    for mine, velocity in zip(ours.parameters(), momenta, strict=True):
        torch.testing.assert_close(result.optimizer.state[mine]["momentum_buffer"], velocity, rtol=1e-10, atol=1e-12)


def test_adamw_equals_a_plain_loop_bit_for_bit() -> None:
    batches = split_batches(*TRAIN)
    options = TrainOptions(epochs=2, optimizer="adamw", lr=0.01, weight_decay=0.1, precision="32", device="cpu")
    ours, plain = make_network(), make_network()
    ours.drop.p = plain.drop.p = 0.0
    train(ours, batches, options)
    optimizer = torch.optim.AdamW(plain.parameters(), lr=1.0, weight_decay=0.1, fused=True)
    for epoch in range(2):
        for step, (x, y) in enumerate(batches):
            optimizer.param_groups[0]["lr"] = learning_rate(options, epoch, step, len(batches))
            optimizer.zero_grad()
            F.cross_entropy(plain(x), y).backward()
            optimizer.step()
    expected = tensors_of(plain)
    assert all(torch.equal(value, expected[name]) for name, value in tensors_of(ours).items())


def test_history_measures_what_it_says() -> None:
    """With a rate that moves nothing, the means over unequal batches are those of the model itself."""
    model = make_network().double()
    model.drop.p = 0.0
    model.norm.eval()
    images, labels = toy_images(150)
    options = TrainOptions(epochs=1, lr=1e-300, weight_decay=0.0, device="cpu")
    (record,) = train(model, split_batches(images.double(), labels), options).history
    model.train()
    scores = torch.cat([model(x) for x in images.double().split(64)])
    assert record.train_loss == pytest.approx(F.cross_entropy(scores, labels).item(), rel=1e-9)
    assert record.train_accuracy == pytest.approx(float((scores.argmax(1) == labels).double().mean()))
    assert (record.validation_loss, record.validation_accuracy) == (None, None)
    assert record.lr == learning_rate(options, 0, 2, 3)
    assert record.seconds > 0
    assert record.images_per_second > 0


@pytest.mark.parametrize(("window", "count"), [(1, 4), (3, 2), (10, 1), (None, 0)])
def test_losses_of_steps_are_recorded_where_asked(window: int | None, count: int) -> None:
    images, labels = toy_images(200)
    options = TrainOptions(epochs=2, lr=0.05, record_steps=window, device="cpu")
    for record in train(make_network(), split_batches(images, labels), options).history:
        assert len(record.step_losses) == count
        if window is not None:
            # Four batches, of 64, 64, 64 and 8 images.
            sizes = [sum([64, 64, 64, 8][first : first + window]) for first in range(0, 4, window)]
            mean = sum(loss * size for loss, size in zip(record.step_losses, sizes, strict=True) if loss) / 200
            assert mean == pytest.approx(record.train_loss)


def test_the_same_object_is_trained_and_left_tidy() -> None:
    model = make_network()
    model.norm.eval()
    flags = [module.training for module in model.modules()]
    weight, hooks = model.conv.weight, dict(model._forward_hooks)
    train(model, split_batches(*TRAIN), TrainOptions(epochs=1, channels_last=True, device="cpu"))
    assert [module.training for module in model.modules()] == flags
    assert model.conv.weight is weight
    assert weight.is_contiguous()
    assert weight.grad is None
    assert dict(model._forward_hooks) == hooks
    assert type(model) is Network


def test_flags_come_back_after_a_failure() -> None:
    model = make_network().eval()
    with pytest.raises(KeyboardInterrupt):
        train(model, Shuffled(*TRAIN, fail_at=(0, 1)), TrainOptions(epochs=1, channels_last=True, device="cpu"))
    assert not any(module.training for module in model.modules())
    assert model.conv.weight.is_contiguous()


def test_channels_last_reaches_the_model() -> None:
    class Watching(Network):
        def forward(self, x: Tensor) -> Tensor:
            orders.append((x.is_contiguous(memory_format=torch.channels_last), self.conv.weight.stride()))
            return super().forward(x)

    orders: list[tuple[bool, tuple[int, ...]]] = []
    images = torch.randn(8, 3, 8, 8)
    model = Watching()
    model.conv = nn.Conv2d(3, 6, 3, padding=1)
    options = TrainOptions(epochs=1, channels_last=True, device="cpu")
    train(model, [(images, torch.zeros(8, dtype=torch.int64))], options)
    assert orders == [(True, (27, 1, 9, 3))]


def test_bf16_runs_the_layers_in_bfloat16_and_keeps_float32_weights() -> None:
    model, seen = make_network(), []
    model.head.register_forward_hook(lambda _module, _args, output: seen.append(output.dtype))
    options = TrainOptions(epochs=1, precision="bf16", device="cpu")
    result = train(model, split_batches(*toy_images(64)), options)
    assert seen == [torch.bfloat16]
    assert model.head.weight.dtype == torch.float32
    assert result.optimizer.state[model.head.weight]["momentum_buffer"].dtype == torch.float32


def test_seed_decides_and_global_generators_are_left_alone() -> None:
    def trained(seed: int) -> Tensor:
        model = make_network()
        train(model, split_batches(*TRAIN), TrainOptions(epochs=1, seed=seed, device="cpu"))
        return model.head.weight.detach()

    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # type: ignore[index]
    first, again, other = trained(0), trained(0), trained(1)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert (np.random.get_state()[1] == states[2]).all()  # type: ignore[index]


def test_set_epoch_and_on_epoch_are_called_in_order() -> None:
    batches, records = Shuffled(*toy_images(128)), list[EpochRecord]()
    result = train(make_network(), batches, TrainOptions(epochs=3, device="cpu"), on_epoch=records.append)
    assert batches.epochs == [0, 1, 2]
    assert tuple(records) == result.history


def test_a_loss_that_is_not_finite_stops_with_the_step() -> None:
    batches = split_batches(*toy_images(64 * 6))
    batches[4][0][3, 0, 0, 0] = float("nan")
    with pytest.raises(
        TrainingError, match=r"epoch 0, step 4 of 6, lr 0\.05: wanted a finite loss.*steps 0 to 5.*Lower lr"
    ):
        train(make_network(), batches, TrainOptions(epochs=2, lr=0.05, schedule="constant", device="cpu"))


def test_long_epochs_stop_before_their_end() -> None:
    image, steps = torch.full((1, 1, 8, 8), float("inf")), list[int]()

    class Endless:
        def __len__(self) -> int:
            return 10_000

        def __iter__(self):  # type: ignore[no-untyped-def]
            for step in range(10_000):
                steps.append(step)
                yield image, torch.zeros(1, dtype=torch.int64)

    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    with pytest.raises(TrainingError, match="epoch 0, step 0 of 10000"):
        train(model, Endless(), TrainOptions(epochs=1, device="cpu"))
    assert len(steps) == 100


def test_weights_that_overflow_at_the_last_step_stop() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    options = TrainOptions(epochs=1, lr=1e38, weight_decay=1e10, schedule="constant", device="cpu")
    with pytest.raises(TrainingError, match="weights that are not finite"):
        train(model, split_batches(*toy_images(64)), options)


def test_validation_that_is_not_finite_stops() -> None:
    images, labels = toy_images(64)
    broken = [(images / 0, labels)]
    with pytest.raises(TrainingError, match="a validation loss of nan"):
        train(make_network(), split_batches(images, labels), TrainOptions(epochs=1, device="cpu"), validation=broken)


def test_an_unknown_device_is_refused() -> None:
    for name in ("cpuu", "cuda:99"):
        with pytest.raises(ConfigError, match=f"a device '{name}' on this machine"):
            train(make_network(), split_batches(*toy_images(64)), TrainOptions(device=name))


def test_how_often_is_checked(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"checkpoint\.epochs: wanted a number above 0, got 0"):
        CheckpointOptions(path=tmp_path / "x", epochs=0)
    with pytest.raises(TrainingError, match=r"checkpoint\.minutes: wanted a number above 0, got -1"):
        CheckpointOptions(path=tmp_path / "x", minutes=-1)


@pytest.mark.slow
def test_compile_trains_the_plain_module() -> None:
    model = make_network()
    options = TrainOptions(epochs=4, lr=0.05, compile=True, device="cpu")
    train(model, Shuffled(*TRAIN), options, validation=split_batches(*TEST))
    assert type(model) is Network
    assert evaluate(model, split_batches(*TEST), device="cpu").accuracy > 0.9
