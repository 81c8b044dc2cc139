"""timm: every family, in its smallest variant or with fewer and narrower blocks, on the smallest sensible image."""

from functools import partial
from importlib import import_module
from typing import Any

from torch import nn

from benchmarks.libraries._entry import Call, Entry, noise
from benchmarks.libraries._schemas import import_torchvision

__all__ = ["TIMM"]

_BY_SIDE = {
    64: (
        "resnet18d resnet26t resnetrs50 resnetaa34d resnetblur18 seresnet18 ecaresnet26t skresnet18 skresnext50_32x4d "
        "legacy_seresnet18 legacy_xception resnetv2_18 resnetv2_50x1_bit resnetv2_50d_gn resnetv2_50d_evos "
        "res2net50_14w_8s res2next50 resnest14d resnest50d_4s2x40d dpn48b dpn68b dla46_c dla46x_c dla60_res2net "
        "dla60_res2next selecsls42b xception41 xception41p hrnet_w18_small cspresnet50 cspdarknet53 cs3darknet_s "
        "cspnext_tiny darknet17 vovnet39a ese_vovnet19b_dw eca_vovnet39b ghostnet_050 ghostnetv2_100 ghostnetv3_050 "
        "mobilenetv4_conv_small_035 mobilenetv4_hybrid_medium_075 mobilenetv3_small_050 lcnet_035 lcnetv2_small "
        "fbnetv3_b hardcorenas_a mixnet_s tf_efficientnet_lite0 efficientnet_b0_gn efficientnet_cc_b0_4e "
        "efficientnet_es tinynet_e mobilenetv2_035 mnasnet_small spnasnet_100 rexnet_100 repvgg_a0 repghostnet_050 "
        "mobileone_s0 regnetx_002 regnety_002 regnetz_005 regnetv_040 gernet_s regnetz_b16 nf_resnet26 nf_regnet_b0 "
        "dm_nfnet_f0 eca_nfnet_l0 densenetblur121d rdnet_tiny convnext_atto convnext_zepto_rms_ols convnextv2_atto "
        "inception_next_atto starnet_s050 fasternet_t0 hgnet_tiny hgnetv2_b0 tresnet_m gcresnet33ts eca_resnext26ts "
        "convmixer_768_32 poolformer_s12 poolformerv2_s12 caformer_s18 convformer_s18 mambaout_femto edgenext_xx_small "
        "mobilevit_xxs mobilevitv2_050 fastvit_t8 repvit_m0_9 shvit_s1 iformer_t pvt_v2_b0 pvt_v2_b2_li "
        "focalnet_tiny_srf davit_tiny efficientvit_b0 efficientvit_l1 nextvit_small swiftformer_xs "
        "efficientvim_m1 lowformer_b0 cpubone_nano resnet50_clip"
    ),
    80: "inception_v4 inception_resnet_v2",
    96: "nasnetalarge pnasnet5large csatv2",
    128: "lambda_resnet26t",
    160: "test_vit3",
    224: (
        "vit_tiny_patch16_224 deit_tiny_distilled_patch16_224 cait_xxs24_224 xcit_nano_12_p16_224 pit_ti_224 "
        "levit_128s levit_conv_128s coat_lite_tiny coat_tiny mvitv2_tiny twins_pcpvt_small twins_svt_small nest_tiny "
        "gcvit_xxtiny efficientformer_l1 efficientformerv2_s0 mixer_s32_224 resmlp_12_224 gmlp_ti16_224 gmixer_12_224 "
        "volo_d1_224 convit_tiny tnt_s_patch16_224 hiera_tiny_224 tiny_vit_5m_224 coatnet_pico_rw_224 "
        "coatnext_nano_rw_224 swin_tiny_patch4_window7_224 swin_s3_tiny_224 swinv2_cr_tiny_224 "
        "efficientvit_m0 vit_relpos_small_patch16_224 vit_srelpos_small_patch16_224 vit_tiny_r_s16_p8_224 "
        "vit_small_patch16_rope_mixed_224 sequencer2d_s visformer_tiny vitamin_small_224"
    ),
    240: "crossvit_9_240 crossvit_9_dagger_240",
    256: (
        "swinv2_tiny_window8_256 maxvit_pico_rw_256 maxvit_rmlp_pico_rw_256 botnet26t_256 bat_resnext26ts halonet26t "
        "sehalonet33ts"
    ),
}
_NARROW: dict[str, Any] = {"depth": 2, "embed_dim": 192, "num_heads": 3}
_SHORTENED: dict[str, tuple[int, dict[str, Any]]] = {
    "beit_base_patch16_224": (224, _NARROW),
    "deit3_small_patch16_224": (224, {"depth": 2}),
    "eva02_tiny_patch14_224": (224, {"depth": 2}),
    "vit_base_patch16_dinov3": (256, _NARROW),
    "vit_base_patch16_siglip_224": (224, _NARROW),
    "vit_base_patch14_reg4_dinov2": (518, _NARROW),
    "vit_base_patch16_clip_224": (224, _NARROW),
    "vit_base_patch16_18x2_224": (224, _NARROW),
    "vit_base_patch16_rpn_224": (224, _NARROW),
    "aimv2_large_patch14_224": (224, _NARROW),
    "flexivit_small": (240, {"depth": 2}),
    "naflexvit_base_patch16_gap": (224, _NARROW),
    "samvit_base_patch16_224": (224, {"depth": 2, "embed_dim": 192, "num_heads": 3, "global_attn_indexes": (1,)}),
    "sam2_hiera_tiny": (224, {}),
}


def _build(name: str, options: dict[str, Any]) -> nn.Module:
    import_torchvision()
    model: nn.Module = import_module("timm").create_model(name, pretrained=False, **options)
    return model


def _call(side: int) -> Call:
    return (noise(1, 3, side, side),), {}


def _entry(name: str, side: int, options: dict[str, Any]) -> Entry:
    return Entry(name=f"timm/{name}", build=partial(_build, name, options), call=partial(_call, side))


TIMM = (
    *(_entry(name, side, {}) for side, names in _BY_SIDE.items() for name in names.split()),
    *(_entry(name, side, options) for name, (side, options) in _SHORTENED.items()),
)
