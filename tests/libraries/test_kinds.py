"""Heads, head_dim, feed-forward widths and embeddings of library models, one kind of axis at a time."""

import pytest

from secateurs.criteria import Magnitude
from secateurs.graph import Kind, Plan
from secateurs.selection import select
from secateurs.surgery import apply
from tests.libraries._loaded import Loaded, load

pytestmark = pytest.mark.slow

GPT2, BERT, LLAMA = "transformers/GPT2LMHeadModel", "transformers/BertForMaskedLM", "transformers/LlamaForCausalLM"
VIT, WHISPER = "transformers/ViTForImageClassification", "transformers/WhisperForConditionalGeneration"


def half(loaded: Loaded, kind: Kind) -> Plan:
    return select(loaded.graph, Magnitude()(loaded.graph), scope={"*": 0.5}, kinds=[kind])


def kept(plan: Plan, path: str, dim: int) -> int:
    return len(plan.kept(path)[dim])


# Model, kind, and how many positions a weight's dim keeps.
KINDS: dict[str, tuple[str, Kind, str, int, int]] = {
    "GPT-2 heads": (GPT2, "head", "transformer.h.1.attn.c_attn.weight", 1, 72),
    "GPT-2 head_dim": (GPT2, "head_dim", "transformer.h.0.attn.c_proj.weight", 0, 24),
    "GPT-2 feed-forward": (GPT2, "hidden", "transformer.h.0.mlp.c_fc.weight", 1, 96),
    "GPT-2 embedding": (GPT2, "embed", "transformer.wte.weight", 1, 24),
    "BERT heads": (BERT, "head", "bert.encoder.layer.0.attention.self.query.weight", 0, 24),
    "BERT head_dim": (BERT, "head_dim", "bert.encoder.layer.1.attention.self.value.weight", 0, 24),
    "BERT feed-forward": (BERT, "hidden", "bert.encoder.layer.0.intermediate.dense.weight", 0, 36),
    "BERT embedding": (BERT, "embed", "bert.encoder.layer.0.intermediate.dense.weight", 1, 24),
    "Llama feed-forward": (LLAMA, "hidden", "model.layers.0.mlp.up_proj.weight", 0, 36),
    "Llama key-value heads": (LLAMA, "head", "model.layers.0.self_attn.k_proj.weight", 0, 12),
    "Llama query heads, half of them in each group that stays": (
        LLAMA,
        "head",
        "model.layers.0.self_attn.q_proj.weight",
        0,
        12,
    ),
    "Llama head_dim": (LLAMA, "head_dim", "model.layers.1.self_attn.q_proj.weight", 0, 24),
    "Llama embedding": (LLAMA, "embed", "model.embed_tokens.weight", 1, 24),
    "ViT heads": (VIT, "head", "vit.layers.0.attention.q_proj.weight", 0, 24),
    "Whisper heads": (WHISPER, "head", "model.encoder.layers.0.self_attn.q_proj.weight", 0, 24),
}


@pytest.mark.parametrize("case", KINDS)
def test_one_kind_is_cut_by_half_and_proved(case: str) -> None:
    name, kind, path, dim, stays = KINDS[case]
    loaded = load(name)
    plan = half(loaded, kind)
    assert kept(plan, path, dim) == stays
    assert {loaded.graph[axis].kind for axis in plan.removed} == {kind}
    assert apply(loaded.model, plan).report.verified
