"""Models as people use them: whole networks on images of their usual size, language models of their usual width."""

from functools import partial
from importlib import import_module
from typing import Any

from torch import nn

from benchmarks.libraries._entry import Call, Entry, image, noise
from benchmarks.libraries._schemas import import_torchvision
from benchmarks.libraries._transformers_entry import entry, pixels, tokens

__all__ = ["USUAL"]

_TORCHVISION = (
    "alexnet vgg11 vgg13_bn vgg16_bn squeezenet1_1 resnet18 resnet34 resnet50 resnet101 resnext50_32x4d "
    "wide_resnet50_2 densenet121 mobilenet_v2 mobilenet_v3_small mobilenet_v3_large mnasnet1_0 efficientnet_b0 "
    "efficientnet_b3 efficientnet_v2_s regnet_x_400mf regnet_x_1_6gf regnet_y_1_6gf regnet_y_3_2gf convnext_tiny "
    "convnext_base shufflenet_v2_x1_0 vit_b_16"
)
_SEGMENTATION = "fcn_resnet50 deeplabv3_resnet50 lraspp_mobilenet_v3_large"
_VIDEO = "r3d_18 mc3_18"
_TIMM = (
    "resnet18d resnet34 resnet50 resnet50d resnet101 seresnet50 resnetrs50 resnetv2_50 skresnet34 eca_resnet33ts "
    "res2net50_26w_4s dla60 dla46x_c hrnet_w18_small legacy_xception xception41 inception_v4 vovnet39a cspresnet50 "
    "gernet_m hgnet_tiny regnetx_032 regnety_032 regnetz_005 repvgg_a2 ghostnet_100 repghostnet_100 mobilenetv2_100 "
    "mobilenetv3_large_100 mobilenetv4_conv_medium mnasnet_100 hardcorenas_a lcnet_100 tinynet_a efficientnet_b0 "
    "tf_efficientnet_lite0 tf_efficientnetv2_s rexnet_100 starnet_s2 convnext_tiny convnext_small convnextv2_tiny "
    "cspnext_tiny poolformer_s12 mixer_b16_224 resmlp_12_224 vit_small_patch16_224 vit_base_patch16_224 "
    "deit_small_patch16_224 deit3_small_patch16_224 beit_base_patch16_224"
)
_LAYERS = {"num_hidden_layers": 2}


def _torchvision(package: str, name: str, options: dict[str, Any]) -> nn.Module:
    import_torchvision()
    model: nn.Module = getattr(import_module(f"torchvision.models{package}"), name)(weights=None, **options)
    return model


def _timm(name: str) -> nn.Module:
    import_torchvision()
    model: nn.Module = import_module("timm").create_model(name, pretrained=False)
    return model


def _timm_call(name: str) -> Call:
    settings = import_module("timm").get_pretrained_cfg(name, allow_unregistered=False)
    return (noise(1, *settings.input_size),), {}


def _text() -> Call:
    return (tokens(1, 128),), {}


def _pair() -> Call:
    return (), {"input_ids": tokens(1, 128), "decoder_input_ids": tokens(1, 32)}


_IMAGE = partial(pixels, 224)
_NETWORKS = (
    *(
        Entry(name=f"torchvision/{name}", build=partial(_torchvision, "", name, {}), call=image(3, 224, 224))
        for name in _TORCHVISION.split()
    ),
    Entry(
        name="torchvision/inception_v3",
        build=partial(_torchvision, "", "inception_v3", {"aux_logits": False, "init_weights": False}),
        call=image(3, 299, 299),
    ),
    *(
        Entry(
            name=f"torchvision/{name}",
            build=partial(_torchvision, ".segmentation", name, {"weights_backbone": None, "num_classes": 21}),
            call=image(3, 224, 224),
        )
        for name in _SEGMENTATION.split()
    ),
    *(
        Entry(name=f"torchvision/{name}", build=partial(_torchvision, ".video", name, {}), call=image(3, 8, 112, 112))
        for name in _VIDEO.split()
    ),
    *(Entry(name=f"timm/{name}", build=partial(_timm, name), call=partial(_timm_call, name)) for name in _TIMM.split()),
)
_TRANSFORMERS = (
    entry("BertForMaskedLM", _text, _LAYERS),
    entry("BertForSequenceClassification", _text, _LAYERS),
    entry("RobertaForTokenClassification", _text, _LAYERS),
    entry("XLMRobertaForMaskedLM", _text, _LAYERS),
    entry("CamembertForMaskedLM", _text, _LAYERS),
    entry("ElectraForPreTraining", _text, _LAYERS),
    entry("ErnieForMaskedLM", _text, _LAYERS),
    entry("MPNetForMaskedLM", _text, _LAYERS),
    entry("AlbertForMaskedLM", _text, _LAYERS),
    entry("MobileBertForMaskedLM", _text, _LAYERS),
    entry("EsmForMaskedLM", _text, _LAYERS, vocab_size=100, pad_token_id=1, position_embedding_type="rotary"),
    entry("DistilBertForMaskedLM", _text, {"n_layers": 2}),
    entry("FunnelForMaskedLM", _text, {"block_sizes": [1, 1]}),
    entry("GPT2LMHeadModel", _text, {"n_layer": 2, "use_cache": False}),
    entry("OPTForCausalLM", _text, _LAYERS, use_cache=False),
    entry("RwkvForCausalLM", _text, _LAYERS, hidden_size=768, use_cache=False),
    entry("T5ForConditionalGeneration", _pair, {"num_layers": 2, "use_cache": False}),
    entry("BartForConditionalGeneration", _pair, {"encoder_layers": 2, "decoder_layers": 2, "use_cache": False}),
    entry("ViTForImageClassification", _IMAGE, _LAYERS),
    entry("DeiTForImageClassification", _IMAGE, _LAYERS),
    entry("BeitForImageClassification", _IMAGE, _LAYERS),
    entry("Dinov2ForImageClassification", _IMAGE, _LAYERS),
    entry("IJepaForImageClassification", _IMAGE, _LAYERS),
    entry("AltCLIPVisionModel", _IMAGE, _LAYERS),
    entry("ViTMAEModel", _IMAGE, _LAYERS, mask_ratio=0.0),
    entry("ConvNextForImageClassification", _IMAGE, {}),
    entry("ConvNextV2ForImageClassification", _IMAGE, {}),
    entry("ResNetForImageClassification", _IMAGE, {}),
    entry("RegNetForImageClassification", _IMAGE, {}),
    entry("MobileNetV1ForImageClassification", _IMAGE, {}),
    entry("MobileNetV2ForImageClassification", _IMAGE, {}),
    entry("SwiftFormerForImageClassification", _IMAGE, {}),
)

USUAL: dict[str, Entry] = {entry.name: entry for entry in (*_NETWORKS, *_TRANSFORMERS)}
