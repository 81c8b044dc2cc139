"""Half of every axis of library models: covered, cut, equal to the masked model and to zeroed weights."""

import pytest

from benchmarks._share import share_in_axes
from benchmarks._zeroes import against_zeroes, inexact_axes
from secateurs.criteria import Magnitude
from secateurs.selection import select
from secateurs.surgery import apply
from tests.libraries._loaded import load

pytestmark = pytest.mark.slow

FLOORS = {
    "torchvision/resnet18": 0.99,
    "torchvision/densenet121": 0.99,
    "torchvision/shufflenet_v2_x0_5": 0.99,
    "torchvision/mobilenet_v3_small": 0.99,
    "torchvision/efficientnet_b0": 0.99,
    "torchvision/googlenet": 0.99,
    "torchvision/regnet_y_400mf": 0.99,
    "torchvision/swin_t": 0.9,
    "torchvision/lraspp_mobilenet_v3_large": 0.99,
    "torchvision/ssdlite320_mobilenet_v3_large": 0.9,
    "torchvision/mc3_18": 0.99,
    "timm/vit_tiny_patch16_224": 0.97,
    "timm/beit_base_patch16_224": 0.9,
    "timm/convnextv2_atto": 0.9,
    "timm/coat_lite_tiny": 0.9,
    "timm/levit_128s": 0.9,
    "timm/pvt_v2_b0": 0.9,
    "timm/mixer_s32_224": 0.9,
    "timm/res2net50_14w_8s": 0.99,
    "timm/resnest14d": 0.99,
    "timm/ghostnet_050": 0.99,
    "timm/mobilevitv2_050": 0.9,
    "timm/xcit_nano_12_p16_224": 0.9,
    "timm/edgenext_xx_small": 0.9,
    "timm/dla46_c": 0.99,
    "timm/nf_regnet_b0": 0.99,
    "transformers/BertForMaskedLM": 0.97,
    "transformers/DistilBertForMaskedLM": 0.97,
    "transformers/DebertaV2ForMaskedLM": 0.9,
    "transformers/GPT2LMHeadModel": 0.97,
    "transformers/LlamaForCausalLM": 0.97,
    "transformers/LlamaForCausalLM (default call)": 0.97,
    "transformers/MixtralForCausalLM": 0.97,
    "transformers/Gemma3ForCausalLM": 0.97,
    "transformers/T5ForConditionalGeneration": 0.93,
    "transformers/BartForConditionalGeneration": 0.89,
    "transformers/WhisperForConditionalGeneration": 0.97,
    "transformers/ViTForImageClassification": 0.97,
    "transformers/SwinForImageClassification": 0.9,
    "transformers/SegformerForSemanticSegmentation": 0.97,
    "transformers/CLIPModel": 0.76,
    "transformers/Wav2Vec2ForCTC": 0.97,
    "transformers/MambaForCausalLM": 0.9,
}
"""The least share of parameters that must lie in axes; less where hidden states, and so whole streams, are returned."""

MOST_KEPT = 0.6


@pytest.mark.parametrize("name", FLOORS)
def test_half_of_every_axis_goes_and_the_rest_computes_what_the_masked_model_does(name: str) -> None:
    loaded = load(name)
    assert share_in_axes(loaded.model, loaded.graph) >= FLOORS[name]
    plan = select(loaded.graph, Magnitude()(loaded.graph), scope={"*": 0.5})
    assert plan.cost.params <= MOST_KEPT * plan.before.params
    result = apply(loaded.model, plan)
    assert result.report.verified, "the outputs ignore the cut: the proof is void"
    assert sum(tensor.numel() for tensor in result.model.parameters()) == plan.cost.params


@pytest.mark.parametrize("name", FLOORS)
def test_exact_axes_also_agree_with_zeros_in_the_dense_weights(name: str) -> None:
    loaded = load(name)
    others = inexact_axes(loaded.graph)
    if all(axis.name in others or axis.kind == "branch" for axis in loaded.graph.axes):
        pytest.skip("no exact axis")
    plan = select(loaded.graph, Magnitude()(loaded.graph), scope={"*": 0.5}, protect=others)
    found = against_zeroes(loaded.model, loaded.call, plan)
    assert found.holds, found
