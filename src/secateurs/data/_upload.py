"""Batches on their way to the device, while it works on the one before."""

import torch
from torch import Tensor

__all__ = ["Uploader"]


class Uploader:
    """Copies from pinned memory on a stream of its own, where the device has streams."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def buffer(self, shape: tuple[int, ...]) -> Tensor:
        """uint8 memory on the host to fill; pinned where that makes copies overlap with work."""
        # torch's pool of pinned memory gives a block again only once copies from it are done.
        return torch.empty(shape, dtype=torch.uint8, pin_memory=self._stream is not None)

    def upload(self, buffer: Tensor) -> Tensor:
        """The same on the device; work queued from now on finds it there."""
        if self._stream is None:
            return buffer.to(self._device)
        with torch.cuda.stream(self._stream):
            copy = buffer.to(self._device, non_blocking=True)
        current = torch.cuda.current_stream(self._device)
        current.wait_stream(self._stream)
        # Else its memory could be given to another copy while the current stream still reads it.
        copy.record_stream(current)
        return copy
