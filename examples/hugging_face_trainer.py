"""Cut a network while the Hugging Face Trainer trains it, then save it for `from_pretrained`.

pip install transformers accelerate
python examples/hugging_face_trainer.py
"""

import torch
from torch.utils.data import Dataset
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

import secateurs as sec


class Texts(Dataset):
    """Your data."""

    def __len__(self) -> int:
        return 48

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        tokens = torch.randint(1, 100, (12,), generator=torch.Generator().manual_seed(index))
        return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "labels": torch.tensor(index % 2)}


torch.manual_seed(0)
config = BertConfig(
    vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, num_labels=2
)
model = BertForSequenceClassification(config)
example = {"input_ids": torch.randint(1, 100, (2, 12)), "attention_mask": torch.ones(2, 12, dtype=torch.int64)}

# BertConfig has one number for the inner width of all layers: equal shares of these, and nothing else.
shares = {"bert.encoder.layer.*.intermediate.dense": 0.5}
before = sec.cost(model, example)
pruner = sec.callbacks.IterativePruner(example, shares=shares, cuts=2, every=3)

trainer = Trainer(
    model=model,
    args=TrainingArguments("trained", max_steps=9, per_device_train_batch_size=4, report_to=[], use_cpu=True),
    train_dataset=Texts(),
    callbacks=[sec.callbacks.trainer_callback(pruner)],
)
trainer.train()
after = sec.cost(model, example)
print(f"removed {1 - after.params / before.params:.1%} of {before.params:,} parameters")
sec.save_pretrained(model, "small", example)
small = BertForSequenceClassification.from_pretrained("small")
print("intermediate size", small.config.intermediate_size)
