"""What training takes: operations of forward and backward, by layer, per minibatch, image and epoch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from torch import Tensor, nn

from secateurs._errors import ConfigError
from secateurs.graph import Graph, Operations, Plan, tensors_in, trace

__all__ = ["TrainingCost", "training_cost"]


@dataclass(frozen=True, kw_only=True)
class TrainingCost:
    """Operations of one minibatch; a multiply-add is two.

    A convolution of a kernel of k x k, c input channels to a group, and o output channels of p positions takes
    2 k^2 c o p forward for each image, as many again for the gradients of its weights, as many again for those of its
    input unless only data lies before it, and o p for those of its bias. A linear layer is the case k = p = 1.
    Normalisations, activations, pools and the optimizer's update have no multiply-adds and are not counted.

    Attributes:
        layers: by the path of the innermost module that computes, in order of execution; "" is the model's own code.
        images: in the minibatch.
    """

    layers: Mapping[str, Operations]
    images: int

    @classmethod
    def of(cls, graph: Graph, plan: Plan | None = None) -> Self:
        """Of a traced model, dense or as after a plan.

        Raises:
            ConfigError: no tensor with images among the traced arguments.
        """
        return cls(layers=graph.operations(plan), images=_images((graph.args, graph.kwargs)))

    @property
    def minibatch(self) -> Operations:
        """All layers together."""
        totals = {name: sum(getattr(layer, name) for layer in self.layers.values()) for name in _PARTS}
        return Operations(**totals)

    @property
    def inference_gops(self) -> float:
        """Of the forward pass of one image."""
        return self.minibatch.forward / self.images / 1e9

    @property
    def image_gops(self) -> float:
        """Of forward and backward of one image, the same for minibatches of any size."""
        return self.minibatch.total / self.images / 1e9

    def epoch_gops(self, images: int) -> float:
        """Of forward and backward of so many images."""
        return self.image_gops * images

    def to_json(self) -> dict[str, Any]:
        """The figures as a JSON object, in operations for the minibatch."""
        return {"images": self.images, "layers": {path: asdict(layer) for path, layer in self.layers.items()}}

    def __str__(self) -> str:
        columns = (*_PARTS, "total")
        width = max([len(path) for path in (*self.layers, "minibatch")])
        rows = [*self.layers.items(), ("minibatch", self.minibatch)]
        lines = [f"{'':<{width}}" + "".join(f"{name:>18}" for name in columns)]
        lines += [f"{path:<{width}}" + "".join(f"{getattr(row, name):>18,}" for name in columns) for path, row in rows]
        said = f"{self.inference_gops:.6g} forward, {self.image_gops:.6g} forward and backward"
        return "\n".join([*lines, f"operations of {self.images} images; GOps per image: {said}"])


def training_cost(
    model: nn.Module,
    args: tuple[Any, ...] | Mapping[str, Any] | Tensor = (),
    kwargs: Mapping[str, Any] | None = None,
) -> TrainingCost:
    """Operations of training on one minibatch `model(*args, **kwargs)`, by layer; nothing is computed.

    Parameters that do not require gradients take none; the arguments are data and take none either.

    Args:
        model: any module.
        args, kwargs: an example minibatch, given in any of the ways of `trace`; its first tensor has one row for
            each image.

    Raises:
        GraphError: the model fails on these arguments.
        ConfigError: no tensor with images among the arguments.
    """
    return TrainingCost.of(trace(model, args, kwargs))


_PARTS = ("forward", "inputs", "weights", "biases")


def _images(arguments: Any) -> int:
    for tensor in tensors_in(arguments):
        if tensor.dim() and len(tensor):
            return len(tensor)
    raise ConfigError(
        "training_cost args",
        wanted="a tensor with a row for each image",
        got="none",
        cure="Pass an example minibatch: args=(x,).",
    )
