"""Scores that are learned while weights stand still."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import torch
from torch import Tensor, nn

from secateurs._distributed import average
from secateurs._errors import ConfigError
from secateurs.criteria._criterion import Criterion, Loss
from secateurs.criteria._data import read_batches, required_loss, undisturbed
from secateurs.criteria._registry import register
from secateurs.graph import Axis, Graph, Member
from secateurs.masks import EdgePopupMasks, MaskOptions, maskable_layers

__all__ = ["EdgePopup"]

_WHO = "criterion 'edge_popup'"


@final
@register("edge_popup")
@dataclass(frozen=True, kw_only=True)
class EdgePopup(Criterion):
    """Train a score for every weight of the convolutions and linear layers, weights frozen, and rank units by them.

    At every step the units with the lowest scores are masked, and the gradient passes the mask of a unit straight
    through to the sum of its weights' |s|. The score of a unit is the mean of |s| over the weights that produce it,
    or over those that read it where no such layer produces it; for `rank` "relevant" it is divided by the same mean
    of the initial scores. Where none reads it either, its parameters' magnitude takes the place, scaled so that the
    axis has the mean score of all. Training is SGD over `batches`, `epochs` times; the model ends as it was.

    Source: Ramanujan et al., What's Hidden in a Randomly Weighted Neural Network?, 2020.

    Args:
        rate: fraction of units masked while scores train.
        scope: of each layer, or of all layers together.
        rank: by scores, or by scores over initial scores.
        epochs: passes over the batches.
        lr: learning rate.
        momentum: of SGD.
        weight_decay: of SGD, on the scores.
        seed: of the initial scores.

    Raises:
        ConfigError: an option out of range.
        PlanError: when called, no batches or no loss.
    """

    rate: float = 0.5
    scope: Literal["layerwise", "global"] = "layerwise"
    rank: Literal["absolute", "relevant"] = "absolute"
    epochs: int = 1
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    seed: int = 0

    def __post_init__(self) -> None:
        self._options()
        for name, good in (("epochs", self.epochs >= 1), ("lr", self.lr > 0), ("momentum", 0 <= self.momentum < 1)):
            if not good:
                got, cure = repr(getattr(self, name)), f"Correct {name}."
                raise ConfigError(f"{_WHO} {name}", wanted="a number in its range", got=got, cure=cure)

    def score(self, graph: Graph, batches: Iterable[Any] | None, loss: Loss | None) -> Mapping[str, Tensor]:
        """See the class."""
        loss = required_loss(loss, _WHO)
        with undisturbed(graph.model):
            # Layers that make no units, as the last one, are not masked.
            rates = tuple(self.rate if layer.axes else 0.0 for layer in maskable_layers(graph.model, graph))
            popup = EdgePopupMasks(graph.model, self._options(rates), seed=self.seed, graph=graph)
            try:
                graph.model.train()
                torch.manual_seed(self.seed)
                self._train(graph.model, popup, batches, loss)
                now = {layer.weight: popup.scores[layer.name].detach().abs() for layer in popup.layers}
                before = {layer.weight: popup.initial[layer.name].abs() for layer in popup.layers}
            finally:
                popup.close()
        units = before if self.rank == "relevant" else {path: torch.ones_like(score) for path, score in now.items()}
        return {axis.name: _of_axis(graph, axis, now, units) for axis in graph.axes}

    def _train(self, model: nn.Module, popup: EdgePopupMasks, batches: Iterable[Any] | None, loss: Loss) -> None:
        scores = list(popup.scores.values())
        optimizer = torch.optim.SGD(scores, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)
        for _ in range(self.epochs):
            for batch in read_batches(batches, _WHO, scores[0].device):
                optimizer.zero_grad()
                with torch.enable_grad():
                    loss(batch.outputs(model), batch.targets).backward()
                average(score.grad for score in scores if score.grad is not None)
                optimizer.step()

    def _options(self, rates: tuple[float, ...] = ()) -> MaskOptions:
        return MaskOptions(rate=self.rate, granularity="channel", scope=self.scope, rank=self.rank, rates=rates)


def _of_axis(graph: Graph, axis: Axis, above: Mapping[str, Tensor], below: Mapping[str, Tensor]) -> Tensor:
    """[axis.size]: the sum of `above` over that of `below`, over the weights that make a unit, or that read it."""
    for role in ("produces", "reads"):
        members = [member for member in axis.members if member.role == role and member.path in above]
        if members:
            return _per_unit(axis, members, above) / _per_unit(axis, members, below).clamp(min=1e-30)
    weights = {member.path: graph.tensor(member.path).detach().abs() for member in axis.members}
    sizes = _per_unit(axis, axis.members, weights)
    middle = sum(float(values.sum()) for values in above.values()) / sum(
        float(values.sum()) for values in below.values()
    )
    return middle * sizes / sizes.mean().clamp(min=1e-30)


def _per_unit(axis: Axis, members: Sequence[Member], values: Mapping[str, Tensor]) -> Tensor:
    sums = torch.zeros(axis.size, dtype=torch.float64)
    for member in members:
        weights = values[member.path].movedim(member.dim, 0)
        weights = weights.reshape(len(weights), -1).sum(1, dtype=torch.float64).cpu()
        sums.index_add_(0, torch.from_numpy(member.units), weights[torch.from_numpy(member.positions)])
    return sums
