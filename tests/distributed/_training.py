"""What each rank, or one process alone, does in tests/distributed/test_training.py."""

import contextlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from secateurs import _distributed, kept_inputs, models, trace
from secateurs._errors import SecateursError
from secateurs.data import Augment, Batches, BatchOptions, ImageSet
from secateurs.sparsity import GroupLasso
from secateurs.training import (
    Distillation,
    DistillationOptions,
    Elbo,
    EpochRecord,
    Objective,
    Penalised,
    TrainOptions,
    evaluate,
    evaluate_elbo,
    train,
)

__all__ = ["trained"]

_MEAN, _STD = [0.5], [0.25]


class _Double:
    """Batches in float64, where rounding leaves twelve digits."""

    def __init__(self, batches: Batches) -> None:
        self._batches, self.shard, self.global_size = batches, batches.shard, batches.global_size

    def __iter__(self) -> Any:
        return ((images.double(), labels) for images, labels in self._batches)

    def __len__(self) -> int:
        return len(self._batches)

    def set_epoch(self, epoch: int) -> None:
        self._batches.set_epoch(epoch)


def trained(
    network: str,
    options: dict[str, Any],
    images: int = 45,
    folder: str | None = None,
    stop_after: int = 0,
    guided: bool = False,
) -> dict[str, Any]:
    """Train on this rank's parts of the batches; the weights as numbers, and what was seen."""
    torch.manual_seed(0)
    model = _network(network).double()
    shard = (_distributed.rank(), _distributed.world())
    batches = _batches(images, 1, BatchOptions(shuffle=True, augment=Augment(crop=1, flip=True), shard=shard))
    held_out = _batches(33, 2, BatchOptions(shard=shard))
    checkpoint = Path(folder) / "checkpoint.safetensors" if folder else None
    chosen = TrainOptions(**{"precision": "32", "device": "cpu", "lr": 0.05, "epochs": 2, **options})

    def stop(record: EpochRecord) -> None:
        if record.epoch + 1 == stop_after:
            raise _StopError

    objective: Any = Elbo(mean=_MEAN, std=_STD) if network.startswith("vae") else None
    if guided:
        objective = _guided(model, _network(network).double())
    result = train(
        model,
        _Double(batches),
        chosen,
        validation=_Double(held_out),
        checkpoint=checkpoint,
        objective=objective,
        on_epoch=stop,
    )
    state = dict(model.named_parameters()) | dict(model.named_buffers())
    return {
        "weights": {name: value.detach().double().flatten().tolist() for name, value in state.items()},
        "fingerprint": _distributed.fingerprint(state),
        "momentum": _distributed.fingerprint(_momentum(model, result.optimizer)),
        "losses": [[record.train_loss, record.validation_loss, *record.step_losses] for record in result.history],
        "accuracies": [[record.train_accuracy, record.validation_accuracy] for record in result.history],
        "seen": _seen(model, _Double(held_out), objective if isinstance(objective, Elbo) else None),
    }


def _guided(model: nn.Module, teacher: nn.Module) -> Objective:
    """A teacher's scores and attention maps, and a penalty."""
    example = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    options = DistillationOptions(alpha=0.5, features=0.5, match="attention")
    features = kept_inputs(model, teacher, example, layers="*")
    taught = Distillation(teacher, options, student=model, features=features)
    return Penalised(taught, GroupLasso(strength=1e-3).on(trace(model, example)))


def _seen(model: nn.Module, batches: _Double, objective: Elbo | None) -> list[float]:
    """Two figures and the number of images."""
    if objective is not None:
        terms = evaluate_elbo(model, batches, objective, device="cpu")
        return [terms.reconstruction, terms.kld, terms.images]
    seen = evaluate(model, batches, device="cpu")
    return [seen.loss, seen.accuracy, seen.images]


def _network(name: str) -> nn.Module:
    if name == "norm":
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    if name == "vae28":
        return models.build(name, channels=1, size=8, filters=(4,), widths=(12,), latent=3)
    return models.build(name, classes=3, channels=1, **({"size": 8} if "size" in models.TABLE[name].options else {}))


def _momentum(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": torch.as_tensor(value)
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state[parameter].items()
        if value is not None
    }


def _batches(count: int, seed: int, options: BatchOptions) -> Batches:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    pixels = torch.randint(0, 120, (count, 1, 8, 8), generator=generator)
    pixels = (pixels + 40 * labels[:, None, None, None]).to(torch.uint8)
    images = ImageSet(images=pixels, labels=labels, indices=torch.arange(count), classes=("a", "b", "c"))
    return Batches(images, batch_size=11, mean=_MEAN, std=_STD, seed=seed, options=options)


def trained_on_uneven_sets() -> str:
    """What each rank hears where it has another number of batches than the other."""
    batches = [(torch.zeros(2, 1, 8, 8), torch.zeros(2, dtype=torch.int64))] * (5 - _distributed.rank())
    try:
        train(_network("norm"), batches, TrainOptions(epochs=1, device="cpu"))
    except SecateursError as error:
        return str(error)
    return "nothing"


def interrupted(strategy: str, folder: str) -> dict[str, Any]:
    """Train for three epochs in two goes, the second of which finds the first's checkpoint; and in one."""
    options = {"strategy": strategy, "epochs": 3, "schedule": "constant"}
    whole = trained("conv2", options)
    with contextlib.suppress(_StopError):
        trained("conv2", options, folder=folder, stop_after=2)
    again = trained("conv2", options, folder=folder)
    return {"whole": whole, "again": again}


class _StopError(Exception):
    """Ends training between two epochs."""
