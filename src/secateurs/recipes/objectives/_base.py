"""What an objective has to say in a study; a new one is a file beside this one and a row of the table."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar

from torch import Tensor, nn

from secateurs.criteria import Loss
from secateurs.training import BatchSource, EpochRecord, Objective

__all__ = ["PICTURES_FILE", "Purpose"]

PICTURES_FILE = "pictures.safetensors"


class Purpose(ABC):
    """How networks are trained, judged, scored and shown. Figures are named after the part of the data: test_..."""

    figure: ClassVar[str]
    """The figure that says how good a network is, without the part of the data; more of it is better."""

    @abstractmethod
    def training(self, *, label_smoothing: float) -> Objective:
        """What a training minimises."""

    @abstractmethod
    def learned(self, record: EpochRecord) -> Mapping[str, float | None]:
        """Figures of a training's last epoch, on its own images and on those for validation."""

    @abstractmethod
    def judged(self, model: nn.Module, batches: BatchSource, *, device: str) -> Mapping[str, float | int]:
        """Figures of the model on test images; `figure` comes first."""

    @abstractmethod
    def for_scores(self, batches: BatchSource) -> tuple[Iterable[tuple[Tensor, Tensor]], Loss]:
        """The batches and the loss that a criterion gets: pairs of inputs and what outputs are compared with."""

    def pictures(self, model: nn.Module, images: Tensor) -> Mapping[str, Tensor]:  # noqa: ARG002 - for subclasses
        """What the model makes of some test images, to look at: uint8 [N, C, H, W] each; nothing by default."""
        return {}
