"""Distillation against its formulas, and as a part of training."""

from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs._errors import ConfigError, TrainingError
from secateurs.training import (
    CheckpointOptions,
    Classification,
    Distillation,
    DistillationOptions,
    TrainOptions,
    train,
)
from tests.training._toys import Network, Shuffled, make_network, split_batches, tensors_of, toy_images

TRAIN = toy_images(128, seed=1)
CHANNELS = {"norm": torch.tensor([0, 2, 3, 5]), "head": torch.cat([torch.arange(64) + 64 * c for c in (0, 2, 3, 5)])}


def _student(seed: int = 4) -> Network:
    return make_network(seed=seed, channels=4)


def _by_hand(
    student: Network, teacher: Network, images: Tensor, labels: Tensor, options: DistillationOptions
) -> Tensor:
    """The loss, image by image and channel by channel, for networks without dropout."""
    scores, wanted = student(images), teacher(images)
    soft, target = (scores / options.temperature).softmax(1), (wanted / options.temperature).softmax(1)
    kl = torch.stack([(target[i] * (target[i] / soft[i]).log()).sum() for i in range(len(images))]).mean()
    loss = (1 - options.alpha) * F.cross_entropy(scores, labels) + options.alpha * options.temperature**2 * kl
    mine, its = student.conv(images), teacher.conv(images)
    if options.match == "kept":
        its = torch.stack([its[:, channel] for channel in (0, 2, 3, 5)], 1)
        first = (mine - its).square().mean() / its.square().mean()
    else:
        maps = [torch.stack([(x[i] ** 2).mean(0).flatten() for i in range(len(x))]) for x in (mine, its)]
        mine, its = (torch.stack([row / row.norm() for row in x]) for x in maps)
        first = (mine - its).square().mean() / its.square().mean()
    whole: Tensor = loss + options.features * first
    return whole


@pytest.mark.parametrize("match", ["kept", "attention"])
@pytest.mark.parametrize("training", [True, False])
def test_the_loss_is_that_of_the_formulas(match: str, training: bool) -> None:
    student, teacher = _student().double(), make_network(seed=5).double().eval()
    student.train(training).drop.p = 0.0
    images, labels = TRAIN[0][:16].double(), TRAIN[1][:16]
    options = DistillationOptions(temperature=3.0, alpha=0.7, features=0.5, match=match)  # type: ignore[arg-type]
    features = {"norm": CHANNELS["norm"]}
    wanted = _by_hand(student, teacher, images, labels, options)
    first = torch.autograd.grad(wanted, student.conv.weight)[0]
    with Distillation(teacher, options, student=student, features=features) as objective:
        loss, scores = objective.loss(student, images, labels)
    assert scores is not None
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-12)
    torch.testing.assert_close(torch.autograd.grad(loss, student.conv.weight)[0], first)
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_a_student_that_is_the_teacher_has_nothing_to_learn_from_it() -> None:
    teacher = make_network().eval()
    options = DistillationOptions(alpha=1.0, features=2.0)
    features = {"norm": torch.arange(6), "head": torch.arange(6 * 64)}
    student = make_network().eval()
    with Distillation(teacher, options, student=student, features=features) as objective:
        loss, _ = objective.loss(student, *TRAIN)
    assert loss.item() == pytest.approx(0, abs=1e-6)


def test_a_teacher_helps_and_is_left_as_it_was() -> None:
    options = TrainOptions(epochs=3, lr=0.05, device="cpu")
    teacher = make_network()
    train(teacher, split_batches(*TRAIN), options)
    before = tensors_of(teacher)
    wrong = split_batches(TRAIN[0], (TRAIN[1] + 1) % 4)
    student, told = _student(), DistillationOptions(alpha=1.0, features=1.0)
    with Distillation(teacher, told, student=student, features=CHANNELS) as objective:
        train(student, wrong, options, objective=objective)
        assert student.norm._forward_pre_hooks
    assert not any(module._forward_pre_hooks for net in (student, teacher) for module in net.modules())
    assert all(torch.equal(value, before[name]) for name, value in tensors_of(teacher).items())
    with torch.no_grad():
        assert (student.eval()(TRAIN[0]).argmax(1) == TRAIN[1]).float().mean() > 0.8


class _StopError(Exception):
    pass


@pytest.mark.parametrize("options", [{"ema": 0.9}, {"precision": "bf16", "channels_last": True}])
def test_interrupted_within_an_epoch_equals_uninterrupted(options: dict[str, object], tmp_path: Path) -> None:
    train_options = TrainOptions(epochs=2, lr=0.05, device="cpu", **options)  # type: ignore[arg-type]

    def result(path: Path | None, stop: bool) -> dict[str, Tensor]:
        student, told = _student(), DistillationOptions(features=1.0)

        def on_step(_epoch: int, _step: int, now: int) -> None:
            if stop and now == 2:
                raise _StopError

        kept = None if path is None else CheckpointOptions(path=path, minutes=1e-9)
        with Distillation(make_network(seed=5), told, student=student, features=CHANNELS) as objective:
            train(student, Shuffled(*TRAIN, 32), train_options, objective=objective, checkpoint=kept, on_step=on_step)
        return tensors_of(student)

    whole = result(None, stop=False)
    with pytest.raises(_StopError):
        result(tmp_path / "checkpoint.safetensors", stop=True)
    resumed = result(tmp_path / "checkpoint.safetensors", stop=False)
    assert all(torch.equal(value, whole[name]) for name, value in resumed.items())


@pytest.mark.slow
def test_compiled_networks_are_watched_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    # Graphs are taken as always; writing kernels for them would take a minute.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    trained = []
    for compiled in (False, True):
        options = TrainOptions(epochs=2, lr=0.05, device="cpu", precision="32", compile=compiled)
        student = _student()
        student.drop.p = 0.0
        told = DistillationOptions(features=1.0)
        with Distillation(make_network(seed=5), told, student=student, features=CHANNELS) as objective:
            history = train(
                student, split_batches(*TRAIN), options, objective=objective, validation=split_batches(*TRAIN)
            ).history
        trained.append(history[-1].train_loss)
    assert trained[0] == pytest.approx(trained[1], rel=1e-4)


def test_objectives_inside_keep_what_they_can_do() -> None:
    class Drawing(Classification):
        def __init__(self) -> None:
            super().__init__()
            self.keys: list[int] = []

        def begin_step(self, key: int, images: int, part: slice) -> None:
            self.keys.append(key)

    inside = Drawing()
    train(
        make_network(),
        split_batches(*TRAIN),
        TrainOptions(epochs=1, device="cpu"),
        objective=Distillation(make_network(seed=5), objective=inside),
    )
    assert len(set(inside.keys)) == 2


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match="distillation temperature: wanted a number above 0, got 0"):
        DistillationOptions(temperature=0)
    with pytest.raises(ConfigError, match="distillation alpha"):
        DistillationOptions(alpha=1.5)
    with pytest.raises(ConfigError, match="distillation match"):
        DistillationOptions(match="some")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="distillation features: wanted student and features"):
        Distillation(make_network(), DistillationOptions(features=1.0))
    with pytest.raises(TrainingError, match=r"teacher: wanted scores \[4, 4\].*, got \[4, 3\]"):
        Distillation(make_network(classes=3)).loss(make_network(), TRAIN[0][:4], TRAIN[1][:4])
    told, features = DistillationOptions(features=1.0), {"norm": torch.arange(6)}
    watched = Distillation(make_network(), told, student=make_network(), features=features)
    with pytest.raises(TrainingError, match="calls of 0"):
        watched.loss(make_network(), TRAIN[0][:4], TRAIN[1][:4])

    class Wordless:
        def loss(self, module: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | None]:
            return module(images).mean(), None

    with pytest.raises(TrainingError, match="an objective with scores of classes"):
        Distillation(make_network(), objective=Wordless()).loss(make_network(), TRAIN[0][:4], TRAIN[1][:4])
