"""Attributes of torch's own layers that repeat a size of their weight, so that a cut layer prints what it is."""

from collections.abc import Mapping

from torch import nn

__all__ = ["NAMES", "declared_sizes"]

_WEIGHTS = ("weight_orig", "weight_v", "weight")  # older hooks rename it
_LAYER = ("weight_ih_l0", "weight_hh_l0", "weight_hr_l0")
_CELL = ("weight_ih", "weight_hh", "weight_hr")
NAMES = (*_WEIGHTS, "running_mean", *_LAYER, *_CELL)
"""Names of the tensors from whose shapes sizes are told."""

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)


def declared_sizes(module: nn.Module, shapes: Mapping[str, tuple[int, ...]], groups: int) -> dict[str, int]:
    """Attribute name to the value it must have, from the shapes of the module's own parameters and buffers.

    Args:
        module: any module; those that are none of torch's layers declare nothing.
        shapes: shapes of its direct parameters and buffers, by name, after the cut; those in `NAMES` matter.
        groups: its number of groups after the cut, where it has one.
    """
    if isinstance(module, nn.RNNBase):
        return _recurrent(shapes, *_LAYER)
    if isinstance(module, nn.RNNCellBase):
        return _recurrent(shapes, *_CELL)
    weight = next((shapes[name] for name in _WEIGHTS if name in shapes), None)
    if isinstance(module, _NORMS):
        size = weight or shapes.get("running_mean")
        return {"num_features": size[0]} if size else {}
    if weight is None:
        return {}
    if isinstance(module, nn.Linear):
        return {"out_features": weight[0], "in_features": weight[1]}
    if isinstance(module, _CONVOLUTIONS):
        return {"out_channels": weight[0], "in_channels": weight[1] * groups}
    if isinstance(module, _TRANSPOSED):
        return {"in_channels": weight[0], "out_channels": weight[1] * groups}
    if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
        return {"num_embeddings": weight[0], "embedding_dim": weight[1]}
    if isinstance(module, nn.GroupNorm):
        return {"num_channels": weight[0]}
    if isinstance(module, nn.PReLU):
        return {"num_parameters": weight[0]}
    return {}


def _recurrent(
    shapes: Mapping[str, tuple[int, ...]], from_input: str, from_state: str, projection: str
) -> dict[str, int]:
    if from_input not in shapes or from_state not in shapes:
        return {}
    sizes = {"input_size": shapes[from_input][1], "hidden_size": shapes[from_state][1]}
    if projection in shapes:
        sizes |= {"hidden_size": shapes[projection][1], "proj_size": shapes[projection][0]}
    return sizes
