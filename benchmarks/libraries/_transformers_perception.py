"""transformers: images, video, sound, several of them, and what is left."""

from functools import partial

import torch

from benchmarks.libraries._entry import noise
from benchmarks.libraries._transformers_entry import (
    IMAGE,
    PAIR,
    SPEECH,
    STAGES,
    TEXT,
    TWO_TOWERS,
    Options,
    both,
    entry,
    pixels,
    sound,
    spectrogram,
    tokens,
)

__all__ = ["PERCEPTION"]

_PYRAMID: Options = {
    "hidden_sizes": [16, 24, 32, 40],
    "num_attention_heads": [1, 2, 4, 5],
    "depths": [1, 1, 1, 1],
    "decoder_hidden_size": 36,
}

_VISION = (
    entry("ViTForImageClassification", partial(pixels, 32), IMAGE),
    entry("DeiTForImageClassification", partial(pixels, 32), IMAGE),
    entry("BeitForImageClassification", partial(pixels, 32), IMAGE, use_relative_position_bias=True),
    entry("Data2VecVisionForImageClassification", partial(pixels, 32), IMAGE),
    entry("Dinov2ForImageClassification", partial(pixels, 32), IMAGE),
    entry("Dinov2WithRegistersForImageClassification", partial(pixels, 32), IMAGE),
    entry("DINOv3ViTModel", partial(pixels, 32), IMAGE),
    entry("ViTMAEModel", partial(pixels, 32), IMAGE, mask_ratio=0.0),
    entry("YolosForObjectDetection", partial(pixels, 32), IMAGE, image_size=[32, 32], num_detection_tokens=5),
    entry("IJepaForImageClassification", partial(pixels, 32), IMAGE),
    entry("SwinForImageClassification", partial(pixels, 64), STAGES, window_size=4),
    entry("Swinv2ForImageClassification", partial(pixels, 64), STAGES, window_size=4),
    entry("DonutSwinForImageClassification", partial(pixels, 64), STAGES, window_size=4),
    entry(
        "FocalNetForImageClassification",
        partial(pixels, 64),
        {**STAGES, "num_heads": [], "focal_levels": [2, 2], "focal_windows": [3, 3]},
    ),
    entry(
        "SegformerForSemanticSegmentation",
        partial(pixels, 64),
        _PYRAMID,
    ),
    entry(
        "PvtForImageClassification",
        partial(pixels, 64),
        {
            "image_size": 64,
            "hidden_sizes": [16, 24, 32, 40],
            "num_attention_heads": [1, 2, 4, 5],
            "depths": [1, 1, 1, 1],
        },
    ),
    entry(
        "PvtV2ForImageClassification",
        partial(pixels, 64),
        {
            "image_size": 64,
            "hidden_sizes": [16, 24, 32, 40],
            "num_attention_heads": [1, 2, 4, 5],
            "depths": [1, 1, 1, 1],
        },
    ),
    entry(
        "CvtForImageClassification",
        partial(pixels, 64),
        {"embed_dim": [16, 24, 32], "num_heads": [1, 2, 4], "depth": [1, 2, 3]},
    ),
    entry(
        "ConvNextForImageClassification",
        partial(pixels, 64),
        {"hidden_sizes": [16, 24, 32, 40], "depths": [1, 1, 2, 1]},
    ),
    entry(
        "ConvNextV2ForImageClassification",
        partial(pixels, 64),
        {"hidden_sizes": [16, 24, 32, 40], "depths": [1, 1, 2, 1]},
    ),
    entry(
        "ResNetForImageClassification",
        partial(pixels, 64),
        {"embedding_size": 16, "hidden_sizes": [32, 48, 64, 80], "depths": [1, 1, 2, 1]},
    ),
    entry(
        "RegNetForImageClassification",
        partial(pixels, 64),
        {"embedding_size": 16, "hidden_sizes": [32, 48, 64, 80], "depths": [1, 1, 2, 1], "groups_width": 16},
    ),
    entry(
        "BitForImageClassification",
        partial(pixels, 64),
        {"embedding_size": 32, "hidden_sizes": [128, 256, 384, 512], "depths": [1, 1, 2, 1]},
    ),
    entry(
        "EfficientNetForImageClassification",
        partial(pixels, 64),
        {"width_coefficient": 0.5, "depth_coefficient": 0.5, "hidden_dim": 640},
    ),
    entry("MobileNetV1ForImageClassification", partial(pixels, 64), {"depth_multiplier": 0.5}),
    entry("MobileNetV2ForImageClassification", partial(pixels, 64), {"depth_multiplier": 0.5}),
    entry(
        "MobileViTForImageClassification",
        partial(pixels, 64),
        {"hidden_sizes": [24, 32, 40], "neck_hidden_sizes": [8, 16, 24, 32, 40, 48, 80], "image_size": 64},
    ),
    entry(
        "LevitForImageClassification",
        partial(pixels, 224),
        {"hidden_sizes": [32, 48, 64], "num_attention_heads": [2, 3, 4], "depths": [1, 1, 1], "key_dim": [8, 8, 8]},
    ),
    entry(
        "PoolFormerForImageClassification",
        partial(pixels, 64),
        {"hidden_sizes": [16, 24, 32, 40], "depths": [1, 1, 2, 1]},
    ),
    entry(
        "SwiftFormerForImageClassification",
        partial(pixels, 64),
        {"embed_dims": [16, 24, 32, 40], "depths": [1, 1, 2, 1]},
    ),
    entry(
        "GLPNForDepthEstimation",
        partial(pixels, 64),
        _PYRAMID,
    ),
    entry(
        "HieraForImageClassification",
        partial(pixels, 64),
        {"image_size": [64, 64], "embed_dim": 24, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 4, 8]},
    ),
    entry("ViTMSNForImageClassification", partial(pixels, 32), IMAGE),
)
_OTHER = (
    entry("CLIPModel", both, TWO_TOWERS, projection_dim=20),
    entry("SiglipModel", both, TWO_TOWERS),
    entry("AltCLIPVisionModel", partial(pixels, 32), IMAGE),
    entry("Wav2Vec2ForCTC", sound, SPEECH),
    entry("HubertForCTC", sound, SPEECH, feat_extract_norm="layer", do_stable_layer_norm=True),
    entry("WavLMForCTC", sound, SPEECH),
    entry("SEWForCTC", sound, SPEECH, squeeze_factor=2),
    entry("Wav2Vec2ConformerForCTC", sound, SPEECH, position_embeddings_type="relative"),
    entry("UniSpeechForCTC", sound, SPEECH),
    entry(
        "WhisperForConditionalGeneration",
        spectrogram,
        {**PAIR, "num_mel_bins": 16, "max_source_positions": 30, "max_target_positions": 40},
    ),
    entry(
        "Speech2TextForConditionalGeneration",
        lambda: ((), {"input_features": noise(1, 60, 16), "decoder_input_ids": tokens(1, 7), "use_cache": False}),
        {
            **PAIR,
            "input_feat_per_channel": 16,
            "num_mel_bins": 16,
            "conv_channels": 32,
            "max_source_positions": 60,
            "max_target_positions": 40,
        },
    ),
    entry(
        "ASTForAudioClassification",
        lambda: ((noise(1, 64, 32),), {}),
        IMAGE,
        max_length=64,
        num_mel_bins=32,
        patch_size=16,
    ),
    entry("BlipVisionModel", partial(pixels, 32), IMAGE),
    entry("ViltModel", both, {**TEXT, **IMAGE, "max_image_length": -1}),
    entry("TimesformerForVideoClassification", lambda: ((noise(1, 2, 3, 32, 32),), {}), IMAGE, num_frames=2),
    entry("VideoMAEForVideoClassification", lambda: ((noise(1, 2, 3, 32, 32),), {}), IMAGE, num_frames=2),
    entry(
        "VivitForVideoClassification",
        lambda: ((noise(1, 2, 3, 32, 32),), {}),
        IMAGE,
        num_frames=2,
        tubelet_size=[2, 8, 8],
    ),
    entry(
        "DetrForObjectDetection",
        partial(pixels, 64),
        {
            **PAIR,
            "use_timm_backbone": False,
            "use_pretrained_backbone": False,
            "num_queries": 6,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
        },
    ),
    entry(
        "SamVisionModel",
        partial(pixels, 64),
        {
            **IMAGE,
            "image_size": 64,
            "output_channels": 20,
            "global_attn_indexes": [1],
            "window_size": 4,
            "mlp_dim": 72,
        },
    ),
    entry(
        "PatchTSTForPrediction",
        lambda: ((noise(2, 32, 3),), {}),
        {
            "context_length": 32,
            "patch_length": 8,
            "patch_stride": 8,
            "num_input_channels": 3,
            "d_model": 48,
            "num_attention_heads": 4,
            "num_hidden_layers": 2,
            "ffn_dim": 72,
        },
    ),
    entry(
        "DecisionTransformerModel",
        lambda: (
            (),
            {
                "states": noise(1, 5, 17),
                "actions": noise(1, 5, 4),
                "rewards": noise(1, 5, 1),
                "returns_to_go": noise(1, 5, 1),
                "timesteps": torch.arange(5)[None],
                "attention_mask": torch.ones(1, 5),
            },
        ),
        {"hidden_size": 48, "n_layer": 2, "n_head": 4, "n_positions": 40},
    ),
)

PERCEPTION = (*_VISION, *_OTHER)
