"""Cuts while somebody else's code trains: a plain loop, Lightning, the Hugging Face Trainer."""

from secateurs.callbacks._lightning import lightning_callback
from secateurs.callbacks._pruner import IterativePruner
from secateurs.callbacks._trainer import trainer_callback

__all__ = ["IterativePruner", "lightning_callback", "trainer_callback"]
