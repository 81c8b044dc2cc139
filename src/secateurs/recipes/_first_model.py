"""The network that a run begins with: built, filled with weights, and with the head that its recipe asks for."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from secateurs._errors import ConfigError
from secateurs.data import Splits
from secateurs.recipes._config import ModelSection
from secateurs.recipes._model import build_model, load_weights
from secateurs.recipes._weights import weights_file
from secateurs.surgery import kept_outputs, slice_outputs, sliced_outputs

__all__ = ["FirstModel"]

_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class FirstModel:
    """How the network comes about.

    Attributes:
        section: what the recipe says of it.
        splits: the images that it is for.
        shape: channels, height and width of what it is given.
        seed: of initial weights.
        example: gives one image as a batch of one, on the CPU; asked for only where outputs are looked at.
    """

    section: ModelSection
    splits: Splits
    shape: tuple[int, int, int]
    seed: int
    example: Callable[[], Tensor]

    def dense(self) -> nn.Module:
        """The network for all classes of the data, before any weights are read and before any cut."""
        channels, size, _ = self.shape
        classes = len(self.splits.all_classes)
        return build_model(self.section, classes=classes, channels=channels, size=size, seed=self.seed)

    def build(self) -> nn.Module:
        """The network that the stages find."""
        model = self.dense()
        if self.section.weights is not None:
            load_weights(model, weights_file(self.section.weights))
        return self._with_head(model)

    def _with_head(self, model: nn.Module) -> nn.Module:
        subset = self.splits.subset
        everything = tuple(range(len(self.splits.all_classes)))
        wanted = subset.ids if subset is not None and self.section.head == "subset" else everything
        has = kept_outputs(self.dense(), model, (self.example(),)) if sliced_outputs(model) else everything
        if has == wanted:
            return model
        if not set(wanted) <= set(has):
            names = ", ".join(self.splits.all_classes[number] for number in has[:_SHOWN])
            raise ConfigError(
                "model.weights",
                wanted=f"a network that tells {'all' if wanted == everything else 'these'} classes apart",
                got=f"one with a head for {len(has)} classes ({names}{', ...' if len(has) > _SHOWN else ''})",
                cure="Set model.head: subset and data.classes to some of these, or take other weights.",
            )
        return slice_outputs(model, [has.index(number) for number in wanted], (self.example(),)).model
