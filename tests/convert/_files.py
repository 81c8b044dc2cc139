"""Old config files for the tests, as their programs would have read them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SECTIONS: dict[str, dict[str, str]] = {
    "dataset": {"Dataset": "cifar100", "Dataset_Location": "/data"},
    "cnn": {"Architecture": "alexnet", "Depth": "20"},
    "training_hyperparameters": {
        "Print_Only": "False",
        "Total_Epochs": "2",
        "Train_Batch": "32",
        "Test_Batch": "64",
        "Learning_Rate": "0.1",
        "Gamma": "0.1",
        "Momentum": "0.8",
        "Weight_Decay": "1e-4",
        "Momentum_Schedule": "0 0.9",
        "LR_Schedule": "0 1e-3 1 1e-2 2 -1",
        "Train_Val_Split": "0.8",
    },
    "pruning_hyperparameters": {
        "Sub_Name": "aquatic",
        "Sub_Classes": "aquatic_mammals fish",
        "Logs": "/logs/logs.json",
        "Pruning_Perc": "50",
        "Finetune_Budget": "3",
        "Prune_After": "1",
        "Metric": "weights",
    },
    "pytorch_parameters": {"Manual_Seed": "3", "GPU_ID": "0"},
}

FORK: dict[str, Any] = {
    "arch": "Conv2",
    "data": "/mnt",
    "set": "CIFAR10",
    "name": "conv2_channel",
    "optimizer": "sgd",
    "lr": 0.1,
    "lr_policy": "cosine_lr",
    "epochs": 2,
    "weight_decay": 0.0001,
    "momentum": 0.9,
    "batch_size": 32,
    "conv_type": "SubnetConv",
    "freeze_weights": True,
    "prune_rate": -1,
    "seed": 4,
}

STATIC: dict[str, Any] = {
    "network": "resnet",
    "depth": 32,
    "data_dir": "/bind/data/cifar_100",
    "batch_size": 64,
    "prune_ratio": 0.3,
    "prune_ratio_limit": 0.5,
    "normalize": False,
    "pruner_id": 0,
    "scheduler_id": 1,
    "scheduler_params": {"0.5": 0.1, "0.75": 0.01},
    "lr": 0.001,
    "momentum": 0.9,
    "weight_decay": 0.0005,
    "epochs_start": 1,
    "epochs_end": 4,
    "max_iter": 1,
}


def ini(folder: Path, changes: Mapping[str, Mapping[str, str | None]] | None = None, name: str = "old.ini") -> Path:
    """ADaPT's config file with other values, by section and key; None leaves a key out."""
    sections = {**{section: {} for section in changes or {}}, **SECTIONS}
    lines = []
    for section, values in sections.items():
        lines.append(f"[{section}]")
        merged = {**values, **(changes or {}).get(section, {})}
        lines += [f"{key} : {value}" for key, value in merged.items() if value is not None]
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def pruning(folder: Path, **keys: str | None) -> Path:
    """The same with other keys in its section on pruning."""
    return ini(folder, {"pruning_hyperparameters": keys})


def fork(folder: Path, **changes: Any) -> Path:
    """A config of the fork; None leaves a key out."""
    path = folder / "conv2.yml"
    values = {key: value for key, value in {**FORK, **changes}.items() if value is not None}
    path.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items()))
    return path


def static(folder: Path, **changes: Any) -> Path:
    """config.json; None leaves a key out."""
    path = folder / "config.json"
    path.write_text(json.dumps({key: value for key, value in {**STATIC, **changes}.items() if value is not None}))
    return path
