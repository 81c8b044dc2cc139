"""Cut models that their own library loads again, and clear words where it cannot."""

import json
from pathlib import Path
from typing import Any, Self

import pytest
import torch
from torch import Tensor, nn

import secateurs as sec
from secateurs.export import save_pretrained
from secateurs.surgery import fill_random


class Config:
    """Settings as hubs of models keep them."""

    def __init__(self, width: int = 16, inner: int = 24, heads: int = 4, layers: int = 2, kinds: int = 3) -> None:
        self.width, self.inner, self.heads, self.layers, self.kinds = width, inner, heads, layers, kinds
        self.name, self.dropout = "tiny", 0.0


class Attention(nn.Module):
    """Heads of the width of the stream over their number."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads, self.head_dim = config.heads, config.width // config.heads
        if config.width % config.heads:
            raise ValueError("heads that do not divide the width")
        self.query = nn.Linear(config.width, config.width)
        self.key = nn.Linear(config.width, config.width)
        self.value = nn.Linear(config.width, config.width)
        self.out = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        parts = [f(x).unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2) for f in (self.query, self.key)]
        weights = (parts[0] @ parts[1].transpose(-1, -2)).softmax(-1)
        mixed = weights @ self.value(x).unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2)
        y: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return y


class Layer(nn.Module):
    """Attention and an MLP around the stream."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.up, self.down = nn.Linear(config.width, 2 * config.inner), nn.Linear(config.inner, config.width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(x)
        gate, value = self.up(x).chunk(2, -1)
        y: Tensor = x + self.down(gate.sigmoid() * value)
        return y


class Pretrained(nn.Module):
    """A network of a library that knows how to save and load it."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.table = nn.Embedding(11, config.width)
        self.layers = nn.Sequential(*(Layer(config) for _ in range(config.layers)))
        self.head = nn.Linear(config.width, config.kinds)

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.head(self.layers(self.table(tokens)).mean(1))
        return logits

    def save_pretrained(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(vars(self.config)))
        sec.save(self, folder / "model.safetensors")

    @classmethod
    def from_pretrained(cls, folder: Path) -> Self:
        content = json.loads((folder / "config.json").read_text())
        del content["name"], content["dropout"]
        return sec.load(folder / "model.safetensors", lambda: cls(Config(**content)))  # type: ignore[return-value]


TOKENS = torch.randint(11, (2, 7), generator=torch.Generator().manual_seed(0))


def _model() -> Pretrained:
    model = Pretrained(Config())
    fill_random(model, seed=0)
    return model.eval()


def _plan(model: nn.Module, name: str, ratio: float, *, but: str = "-") -> sec.Plan:
    """Units of all axes whose name has `name` in it and `but` not."""
    graph = sec.trace(model, TOKENS)
    chosen = [axis for axis in graph.axes if name in axis.name and but not in axis.name]
    assert chosen
    return graph.plan({axis.name: list(range(int(axis.size * ratio))) for axis in chosen})


def test_equal_shares_become_one_number_of_the_config(tmp_path: Path) -> None:
    model = _model()
    result = sec.apply(model, _plan(model, ".up", 0.5))
    config = save_pretrained(result, tmp_path / "small")
    assert (config.inner, config.width, config.heads) == (12, 16, 4)
    loaded = Pretrained.from_pretrained(tmp_path / "small")
    assert loaded.config.inner == 12
    with torch.no_grad():
        torch.testing.assert_close(loaded(TOKENS), result.model(TOKENS))
    assert model.config.inner == 24


def test_layers_that_differ_are_named_with_the_field_and_its_values(tmp_path: Path) -> None:
    model = _model()
    result = sec.apply(model, _plan(model, "layers.0.up", 0.5))
    with pytest.raises(sec.PlanError, match=r"one value of config\.inner \(now 24\)") as caught:
        save_pretrained(result, tmp_path / "small")
    assert "12 for layers.0" in str(caught.value)
    assert "24 for layers.1" in str(caught.value)
    assert "scope={pattern: ratio}" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_what_no_field_says_is_refused(tmp_path: Path) -> None:
    model = _model()
    graph = sec.trace(model, TOKENS)
    heads = [axis for axis in graph.axes if axis.kind == "head"]
    result = sec.apply(model, graph.plan({axis.name: [0, 1] for axis in heads}))
    with pytest.raises(sec.PlanError, match="config"):
        save_pretrained(result, tmp_path / "small")
    assert list(tmp_path.iterdir()) == []


def test_what_the_class_itself_refuses_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def picky(self: Pretrained, folder: Path) -> None:
        raise ValueError(f"an inner width of {self.config.inner}")

    monkeypatch.setattr(Pretrained, "save_pretrained", picky)
    model = _model()
    result = sec.apply(model, _plan(model, ".up", 0.5))
    with pytest.raises(sec.PlanError, match=r"ValueError: an inner width of 12\. .*multiple_of"):
        save_pretrained(result, tmp_path / "small")
    assert list(tmp_path.iterdir()) == []


def test_models_without_a_config_are_told_of_save(tmp_path: Path) -> None:
    with pytest.raises(sec.PlanError, match=r"got no config, save_pretrained, from_pretrained\. .*secateurs\.save"):
        save_pretrained(nn.Linear(3, 2), tmp_path / "small", torch.randn(2, 3))


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("kept")
    with pytest.raises(sec.FileError, match="wanted a new or empty folder"):
        save_pretrained(_model(), tmp_path, TOKENS)
    assert (tmp_path / "theirs").read_text() == "kept"


CASES = {
    "BertForSequenceClassification": ("BertConfig", {"intermediate_size": 64}, "intermediate_size", "hidden"),
    "LlamaForCausalLM": (
        "LlamaConfig",
        {"intermediate_size": 64, "num_key_value_heads": 2, "use_cache": False},
        "intermediate_size",
        "hidden",
    ),
    "ViTForImageClassification": (
        "ViTConfig",
        {"intermediate_size": 64, "image_size": 16, "patch_size": 4},
        "intermediate_size",
        "hidden",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_models_of_transformers(name: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config_name, options, field, kind = CASES[name]
    common: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    if "image_size" not in options:
        common["vocab_size"] = 50
    torch.manual_seed(0)  # not filled at random: buffers that are not saved must be what the class makes
    model = getattr(transformers, name)(getattr(transformers, config_name)(**common, **options)).eval()
    example = torch.randint(1, 50, (2, 7)) if "vocab_size" in common else torch.randn(2, 3, 16, 16)
    graph = sec.trace(model, example)
    scores = sec.criteria.Magnitude()(graph)
    chosen = [axis for axis in graph.axes if axis.kind == kind and "pooler" not in axis.name]
    assert len(chosen) == 2
    result = sec.apply(model, sec.select(graph, scores, scope={axis.name: 0.4 for axis in chosen}))
    assert result.plan.cuts
    config = save_pretrained(result, tmp_path / "small")
    assert getattr(config, field) < options["intermediate_size"]
    loaded = getattr(transformers, name).from_pretrained(tmp_path / "small").eval()
    with torch.no_grad():
        torch.testing.assert_close(loaded(example).logits, result.model(example).logits)
    uneven = sec.apply(model, graph.plan({chosen[0].name: [1, 2, 3], chosen[1].name: [1, 2]}))
    with pytest.raises(sec.PlanError, match=rf"config\.{field}"):
        save_pretrained(uneven, tmp_path / "uneven")
