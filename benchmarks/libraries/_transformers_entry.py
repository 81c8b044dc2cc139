"""transformers: how its models are built, and the small configurations and calls that many share."""

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.libraries._entry import Call, Entry, noise
from benchmarks.libraries._schemas import import_torchvision

__all__ = [
    "DECODER",
    "GPT",
    "IMAGE",
    "MOE",
    "PAIR",
    "SPEECH",
    "STAGES",
    "T5",
    "TEXT",
    "TWO_TOWERS",
    "Options",
    "both",
    "causal",
    "entry",
    "ids",
    "pair_call",
    "pixels",
    "sound",
    "spectrogram",
    "text",
    "tokens",
]

Options = Mapping[str, Any]
_LENGTH = 12

# Widths that no two dims share by accident.
TEXT: Options = {
    "vocab_size": 99,
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 72,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
}
DECODER: Options = {**TEXT, "num_key_value_heads": 2, "bos_token_id": 1, "eos_token_id": 2}
MOE: Options = {**DECODER, "moe_intermediate_size": 40, "num_experts_per_tok": 2}
GPT: Options = {"vocab_size": 99, "n_embd": 48, "n_layer": 2, "n_head": 4, "n_positions": 40}
PAIR: Options = {
    "vocab_size": 99,
    "d_model": 48,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 3,
    "encoder_ffn_dim": 72,
    "decoder_ffn_dim": 80,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
}
T5: Options = {
    "vocab_size": 99,
    "d_model": 48,
    "d_kv": 10,
    "d_ff": 72,
    "num_layers": 2,
    "num_heads": 4,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "decoder_start_token_id": 0,
}
IMAGE: Options = {
    "image_size": 32,
    "patch_size": 8,
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 72,
}
STAGES: Options = {"image_size": 64, "patch_size": 4, "embed_dim": 24, "depths": [1, 2], "num_heads": [2, 4]}
SPEECH: Options = {
    "vocab_size": 32,
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 72,
    "conv_dim": (20, 24, 28),
    "conv_stride": (5, 4, 2),
    "conv_kernel": (10, 4, 2),
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "mask_time_prob": 0.0,
}
TWO_TOWERS: Options = {
    "text_config": {**TEXT, "num_attention_heads": 4, "bos_token_id": 1, "eos_token_id": 2, "projection_dim": 20},
    "vision_config": {**IMAGE, "num_attention_heads": 3, "projection_dim": 20},
}


def tokens(rows: int = 2, length: int = _LENGTH) -> Tensor:
    return torch.randint(3, 99, (rows, length), generator=torch.Generator().manual_seed(length))


def text() -> Call:
    given = tokens()
    return (), {"input_ids": given, "attention_mask": torch.ones_like(given)}


def causal() -> Call:
    call = text()
    return (), {**call[1], "use_cache": False}


def ids() -> Call:
    return (tokens(),), {}


def pair_call() -> Call:
    call = text()
    return (), {**call[1], "decoder_input_ids": tokens(length=7), "use_cache": False}


def pixels(side: int) -> Call:
    return (), {"pixel_values": noise(1, 3, side, side)}


def both() -> Call:
    return (), {**text()[1], "pixel_values": noise(2, 3, 32, 32)}


def sound() -> Call:
    return (), {"input_values": noise(1, 1600)}


def spectrogram() -> Call:
    return (), {"input_features": noise(1, 16, 60), "decoder_input_ids": tokens(1, 7), "use_cache": False}


def entry(model: str, call: Callable[[], Call], options: Options, /, label: str = "", **more: Any) -> Entry:
    """The configuration class is found by the longest beginning of the model's name that has one."""
    name = f"transformers/{model}{f' ({label})' if label else ''}"
    config = more.pop("config", None)
    return Entry(name=name, build=partial(_build, model, config, {**options, **more}), call=call)


def _build(model: str, config: str | None, options: Options) -> nn.Module:
    import_torchvision()
    library = import_module("transformers")
    stems = (model[:end] for end in range(len(model), 0, -1))
    name = config or next(f"{stem}Config" for stem in stems if hasattr(library, f"{stem}Config"))
    built: nn.Module = getattr(library, model)(getattr(library, name)(**options))
    return built
