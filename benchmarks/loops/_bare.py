"""The limit: forward, loss, backward, step on one constant batch, and nothing else."""

import torch
import torch.nn.functional as F

from benchmarks.loops._setup import Setup
from secateurs.training import make_optimizer

__all__ = ["Bare"]


class Bare:
    """The same network, precision, order of memory, compilation and optimizer as our loop."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        network = setup.network().train()
        self._run = setup.compiled(network)
        self._optimizer = make_optimizer(network, setup.options(1))
        self._images = setup.placed(torch.randn(setup.batch, 3, 32, 32))
        self._labels = torch.randint(10, (setup.batch,), device=setup.device)

    def step(self) -> None:
        """One step; nothing is read back."""
        with self._setup.autocast():
            scores = self._run(self._images)
        loss = F.cross_entropy(scores.float(), self._labels)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()

    def images_per_second(self, steps: int) -> float:
        """Over so many steps."""
        started = self._setup.clock()
        for _ in range(steps):
            self.step()
        return steps * self._setup.batch / (self._setup.clock() - started)
