"""How well a model does."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs._errors import TrainingError
from secateurs.training._batches import BatchSource, check_first, placed
from secateurs.training._device import resolve_device
from secateurs.training._flags import preserved_flags
from secateurs.training._precision import resolve_precision
from secateurs.training._records import Evaluation
from secateurs.training._shares import Shares

__all__ = ["evaluate", "mean_loss", "score"]


def evaluate(
    model: nn.Module,
    batches: BatchSource,
    *,
    device: str = "auto",
    precision: Literal["auto", "32", "bf16"] = "32",
    among: Sequence[int] | None = None,
) -> Evaluation:
    """Loss and accuracy over all images of `batches`, each image counting once whatever its batch's size.

    With `among`, the numbers of the classes that there are images of, `accuracy_among` says how often the right one
    has the highest score among these; `accuracy` stays that among all classes of the network.

    The model runs in eval mode and is left as it was: flags, device, weights. The default precision is not that of
    training: figures of models that were trained in different precisions are to be comparable. Under several ranks,
    each looks at its part of batches that are divided, and all return what is true of the whole.

    Raises:
        ConfigError: no such device.
        TrainingError: no images, or scores and labels that do not fit.
    """
    place = resolve_device(device)
    half = resolve_precision(precision, place) == "bf16"
    home = next((parameter.device for parameter in model.parameters()), place)

    def forward(images: Tensor) -> Tensor:
        with torch.autocast(place.type, dtype=torch.bfloat16, enabled=half):
            output: Tensor = model(images)
        return output.float() if output.dtype == torch.bfloat16 else output

    with preserved_flags(model):
        try:
            model.to(place).eval()
            return score(forward, batches, place, Shares(batches), channels_last=False, among=among)
        finally:
            model.to(home)


# Not inference_mode: a model that keeps a tensor from this pass (a table of positions, say) must still train.
@torch.no_grad()
def score(
    forward: Callable[[Tensor], Tensor],
    batches: Iterable[tuple[Tensor, Tensor]],
    device: torch.device,
    shares: Shares,
    *,
    channels_last: bool,
    among: Sequence[int] | None = None,
) -> Evaluation:
    """The mean loss, accuracy and top-5 accuracy of `forward`; sums stay on the device until the end."""
    chosen = None if among is None else torch.tensor(among, device=device)
    sums: list[Tensor] = []
    images = classes = 0
    for step, (x, y) in enumerate(placed(batches, device, channels_last)):
        logits = forward(x)
        if not sums:
            check_first(logits, y)
            classes = logits.shape[1]
        counted = shares.counted(step, len(y))
        images += counted
        if counted:
            sums.append(_sums(logits, y, chosen))
    loss, right, in_five, right_among, total = shares.total([*_added(sums, 4), images])
    if total == 0:
        raise _no_images()
    return Evaluation(
        loss=loss / total,
        accuracy=right / total,
        top5_accuracy=in_five / total if classes >= 5 else None,
        images=int(total),
        accuracy_among=None if among is None else right_among / total,
    )


@torch.no_grad()
def mean_loss(
    loss: Callable[[Tensor, Tensor], Tensor],
    batches: Iterable[tuple[Tensor, Tensor]],
    device: torch.device,
    shares: Shares,
    *,
    channels_last: bool,
) -> float:
    """The mean over all images of a `loss(images, labels)` that is the mean over a batch."""
    sums: list[Tensor] = []
    images = 0
    for step, (x, y) in enumerate(placed(batches, device, channels_last)):
        counted = shares.counted(step, len(y))
        images += counted
        sums.append(loss(x, y).float()[None] * counted)
    added, total = shares.total([*_added(sums, 1), images])
    if total == 0:
        raise _no_images()
    return added / total


def _added(sums: list[Tensor], count: int) -> list[float]:
    """The sum of tensors [count]."""
    added: list[float] = torch.stack(sums).cpu().double().sum(dim=0).tolist() if sums else [0.0] * count
    return added


def _no_images() -> TrainingError:
    return TrainingError("batches", wanted="at least one image", got="none", cure="Check the data's split.")


def _sums(logits: Tensor, labels: Tensor, among: Tensor | None) -> Tensor:
    """Loss, images that are right, right among the best five, and right among the classes asked about."""
    # Summed in the scores' own type within a batch; across batches, sums are added in float64 on the host.
    loss = F.cross_entropy(logits, labels, reduction="sum")
    best = logits.topk(min(5, logits.shape[1]), dim=1).indices == labels[:, None]
    found = labels if among is None else among[logits[:, among].argmax(1)]
    return torch.stack([loss, *(hit.sum().to(loss.dtype) for hit in (best[:, 0], best, found == labels))])
