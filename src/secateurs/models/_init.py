"""Starting weights shared by the convolutional networks."""

from torch import nn

__all__ = ["initialise"]


def initialise(model: nn.Module) -> None:
    """He et al. 2015: normal, variance 2 / fan_in, for convolutions; biases 0, BatchNorm the identity.

    Linear layers keep torch's own start, which suits a head with no ReLU after it.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
