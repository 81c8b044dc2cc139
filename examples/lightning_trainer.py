"""Cut a network while Lightning trains it.

pip install lightning
python examples/lightning_trainer.py
"""

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

import secateurs as sec


class Classifier(pl.LightningModule):
    """Any LightningModule; the network that gets cut is an attribute of it."""

    def __init__(self) -> None:
        super().__init__()
        self.net = sec.models.build("mlp", widths=(32, 16), size=8)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        images, labels = batch
        return F.cross_entropy(self.net(images), labels)

    def configure_optimizers(self) -> dict[str, object]:
        optimizer = torch.optim.AdamW(self.parameters(), lr=1e-3)
        return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 1)}


pl.seed_everything(0)
images, labels = torch.randn(64, 1, 8, 8), torch.randint(10, (64,))  # your data
pruner = sec.callbacks.IterativePruner(args=(images[:1],), remove={"params": 0.5}, cuts=3, every=2)
module = Classifier()
before = sec.cost(module.net, args=(images[:1],))
trainer = pl.Trainer(
    max_epochs=2,
    callbacks=[sec.callbacks.lightning_callback(pruner, network="net")],
    accelerator="cpu",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(module, DataLoader(TensorDataset(images, labels), batch_size=16))
after = sec.cost(module.net, args=(images[:1],))
print(f"removed {1 - after.params / before.params:.1%} of {before.params:,} parameters")
sec.save(module.net, "small.safetensors")
