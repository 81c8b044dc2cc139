"""Distillation: a network learns from another one's answers, and from what that one's layers read."""

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs._errors import ConfigError, TrainingError
from secateurs.training._features import Features, Watcher, channel_dim
from secateurs.training._objective import Classification, Objective, Place, start_training

__all__ = ["Distillation", "DistillationOptions"]


@dataclass(frozen=True, kw_only=True)
class DistillationOptions:
    """How much a teacher has to say.

        loss = (1 - alpha) * L + alpha * T^2 * KL(softmax(t / T) || softmax(s / T)) + features * F

    with the loss L that training has without a teacher, scores s and t of student and teacher, and F the mean over
    the watched layers of how far what they read, x, is from what the teacher's read, y:

        match "kept":       F = mean (x - y_k)^2 / mean y_k^2    with the channels k that the student has too
        match "attention":  F = mean (a(x) - a(y))^2 / mean a(y)^2,  a(x) = q / ||q||_2,  q = mean over channels of x^2

    where attention maps a are over the positions of an image, and need no common channels; layers that read none have
    no such map. Several ranks each take the mean y^2 of their own images.

    Source: Hinton et al., Distilling the knowledge in a neural network, 2015 (scores); Romero et al., FitNets, 2015
    (features; there a learned layer makes widths equal, here the channels that a cut has kept are the target);
    Zagoruyko and Komodakis, Paying more attention to attention, 2017.

    Attributes:
        temperature: T, above 0.
        alpha: from 0, labels alone, to 1, the teacher's scores alone.
        features: weight of F, from 0.
        match: what of the features is compared.

    Raises:
        ConfigError: a value out of range.
    """

    temperature: float = 4.0
    alpha: float = 0.9
    features: float = 0.0
    match: Literal["kept", "attention"] = "kept"

    def __post_init__(self) -> None:
        inf = float("inf")
        _require(0 < self.temperature < inf, "temperature", "a number above 0", self.temperature)
        _require(0 <= self.alpha <= 1, "alpha", "a number from 0 to 1", self.alpha)
        _require(0 <= self.features < inf, "features", "a number of at least 0", self.features)
        _require(self.match in ("kept", "attention"), "match", "'kept' or 'attention'", self.match)


class Distillation:
    """Another objective, with a teacher beside the labels; see `DistillationOptions`.

    The teacher sees the same images, once, augmented as they are; it is in evaluation mode and gets no gradients. In
    validation it is not asked: accuracy is the student's.

        with Distillation(dense, student=cut, features=kept_inputs(cut, dense, x)) as objective:
            train(cut, batches, options, objective=objective)

    It has no state of its own, so that a training resumes with an equal teacher.

    Args:
        teacher: gives scores [B, classes] of the same classes.
        options: how much it has to say.
        objective: what is minimised without it; None for cross-entropy.
        student: the network that is trained; needed for features alone, whose layers are watched until `close`.
        features: the layers, and the channels that both networks have; see `secateurs.kept_inputs`.

    Raises:
        ConfigError: features without a student or layers.
        TrainingError: scores of another shape, at the first call.
    """

    def __init__(
        self,
        teacher: nn.Module,
        options: DistillationOptions | None = None,
        *,
        objective: Objective | None = None,
        student: nn.Module | None = None,
        features: Features | None = None,
    ) -> None:
        self._teacher, self._options = teacher.eval(), options or DistillationOptions()
        self._objective: Objective = objective or Classification()
        self._ask: Callable[[Tensor], Any] = self._asked_plainly
        self._channels = dict(features or {}) if self._options.features else {}
        self._watchers: tuple[Watcher, ...] = ()
        if self._options.features:
            good = student is not None and bool(self._channels)
            _require(good, "features", "student and features, where features have a weight", self._options.features)
            assert student is not None
            self._dims = {path: channel_dim(student.get_submodule(path)) for path in self._channels}
            paths = tuple(self._channels)
            self._watchers = Watcher(student, paths, training=True), Watcher(teacher, paths, training=False)

    def __getattr__(self, name: str) -> Any:
        """What else the other objective can do."""
        return getattr(self._objective, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Watch no layers any more."""
        for watcher in self._watchers:
            watcher.close()

    def begin_training(self, place: Place) -> None:
        """See `Objective`."""
        start_training(self._objective, place)
        self._ask = place(self._teacher)

    def loss(self, module: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        """See the class; without gradients, the loss without the teacher."""
        loss, scores = self._objective.loss(module, images, labels)
        if not torch.is_grad_enabled():
            return loss, scores
        read = self._watchers[0].taken() if self._watchers else {}
        wanted = self._ask(images)
        _check(scores, wanted)
        options = self._options
        assert scores is not None
        loss = (1 - options.alpha) * loss + options.alpha * distance(scores, wanted, options.temperature)
        if self._watchers:
            loss = loss + options.features * self._of_features(read, self._watchers[1].taken())
        return loss, scores

    def _asked_plainly(self, images: Tensor) -> Any:
        self._teacher.to(images.device)
        with torch.no_grad():
            return self._teacher(images)

    def _of_features(self, read: dict[str, Tensor], wanted: dict[str, Tensor]) -> Tensor:
        errors = []
        for path, channels in self._channels.items():
            mine, its, dim = read[path], wanted[path], self._dims[path]
            mine, its = (part.to(torch.promote_types(part.dtype, torch.float32)) for part in (mine, its))
            if self._options.match == "kept":
                # Moved once: a copy at every step would hold up the device.
                self._channels[path] = channels = channels.to(its.device)
                its = its.index_select(dim, channels)
            elif mine.dim() == 2:
                continue  # no positions
            else:
                mine, its = attention(mine, dim), attention(its, dim)
            errors.append(F.mse_loss(mine, its) / its.square().mean().clamp(min=torch.finfo(its.dtype).tiny))
        if not errors:
            cure = "Watch layers that read images or tokens, or match kept channels."
            raise TrainingError("distillation features", wanted="layers with positions", got="none", cure=cure)
        return torch.stack(errors).mean()


def distance(scores: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """T^2 times the Kullback-Leibler divergence of softened scores [B, classes] from those wanted, mean over images.

    The square makes up for gradients of scores that are divided by T.
    """
    dtype = torch.promote_types(scores.dtype, torch.float32)
    mine, its = ((part.to(dtype) / temperature).log_softmax(1) for part in (scores, wanted))
    return F.kl_div(mine, its, reduction="batchmean", log_target=True) * temperature**2


def attention(values: Tensor, dim: int) -> Tensor:
    """How much there is at each position of an image, [B, positions], of length 1."""
    return F.normalize(values.square().mean(dim).flatten(1), dim=1)


def _check(scores: Tensor | None, wanted: object) -> None:
    if scores is None:
        cure = "Train this network without a teacher."
        raise TrainingError("distillation", wanted="an objective with scores of classes", got="one without", cure=cure)
    got = wanted.shape if isinstance(wanted, Tensor) else type(wanted).__name__
    if got != scores.shape:
        raise TrainingError(
            "distillation teacher",
            wanted=f"scores {list(scores.shape)}, as the student gives",
            got=str(list(got) if isinstance(got, torch.Size) else got),
            cure="Take a teacher that tells the same classes apart.",
        )


def _require(good: bool, name: str, wanted: str, got: object) -> None:
    if not good:
        raise ConfigError(f"distillation {name}", wanted=wanted, got=repr(got), cure=f"Correct {name}.")
