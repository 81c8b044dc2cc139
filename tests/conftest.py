"""For all tests: one thread each, since several test processes share the cores."""

import torch

torch.set_num_threads(1)
