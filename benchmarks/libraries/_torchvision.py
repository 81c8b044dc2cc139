"""torchvision: classification, segmentation, detection, video and optical flow."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from torch import nn

from benchmarks.libraries._entry import Call, Entry, image, noise
from benchmarks.libraries._schemas import import_torchvision

__all__ = ["TORCHVISION"]

_BY_SIDE = {
    64: (
        "alexnet vgg11 vgg13_bn squeezenet1_0 squeezenet1_1 resnet18 resnet50 resnext50_32x4d wide_resnet50_2 "
        "densenet121 densenet201 googlenet shufflenet_v2_x0_5 shufflenet_v2_x1_0 mobilenet_v2 mobilenet_v3_small "
        "mobilenet_v3_large mnasnet0_5 mnasnet1_0 efficientnet_b0 efficientnet_b2 efficientnet_v2_s regnet_x_400mf "
        "regnet_y_400mf regnet_y_1_6gf convnext_tiny swin_t swin_v2_t"
    ),
    75: "inception_v3",
    224: "vit_b_32 maxvit_t",
}
_SEGMENTATION = "fcn_resnet50 deeplabv3_resnet50 deeplabv3_mobilenet_v3_large lraspp_mobilenet_v3_large"
_SMALL_IMAGE: dict[str, Any] = {"min_size": 96, "max_size": 128}
# Random weights score every class low; with the usual threshold there would be nothing to compare.
_FEW_BOXES = {**_SMALL_IMAGE, "rpn_pre_nms_top_n_test": 50, "rpn_post_nms_top_n_test": 10, "box_score_thresh": 0.0}
_DETECTION: dict[str, dict[str, Any]] = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": _FEW_BOXES,
    "fasterrcnn_resnet50_fpn_v2": _FEW_BOXES,
    "maskrcnn_resnet50_fpn": _FEW_BOXES,
    "keypointrcnn_resnet50_fpn": _FEW_BOXES,
    "retinanet_resnet50_fpn": {**_SMALL_IMAGE, "topk_candidates": 50, "score_thresh": 0.0},
    "fcos_resnet50_fpn": {**_SMALL_IMAGE, "topk_candidates": 50, "score_thresh": 0.0},
    "ssdlite320_mobilenet_v3_large": {"topk_candidates": 50, "score_thresh": 0.0},
    "ssd300_vgg16": {"topk_candidates": 50, "score_thresh": 0.0},
}
_VIDEO = {"r3d_18": (8, 32), "mc3_18": (8, 32), "r2plus1d_18": (8, 32), "s3d": (16, 224), "swin3d_t": (4, 64)}
_OPTIONS: dict[str, dict[str, Any]] = {
    "googlenet": {"aux_logits": False, "init_weights": False},
    "inception_v3": {"aux_logits": False, "init_weights": False},
}
_SIDES = {"alexnet": 96, "vgg11": 64, "densenet121": 64}


def _build(package: str, name: str, **options: Any) -> nn.Module:
    import_torchvision()
    model: nn.Module = getattr(import_module(f"torchvision.models{package}"), name)(weights=None, **options)
    return model


def _entry(name: str, call: Callable[[], Call], package: str = "", **options: Any) -> Entry:
    build = partial(_build, package, name, **options)
    return Entry(name=f"torchvision/{name}", build=build, call=call)


def _one_scene(side: int) -> Call:
    """Detectors take a list of images of any size, with values in [0, 1]."""
    return ([noise(3, side, side).sigmoid()],), {}


def _two_frames() -> Call:
    return (noise(1, 3, 128, 128), noise(1, 3, 128, 128) + 0.1), {"num_flow_updates": 2}


TORCHVISION = (
    *(
        _entry(name, image(3, *[_SIDES.get(name, side)] * 2), **_OPTIONS.get(name, {}))
        for side, names in _BY_SIDE.items()
        for name in names.split()
    ),
    *(
        _entry(name, image(3, 64, 64), ".segmentation", weights_backbone=None, num_classes=21)
        for name in _SEGMENTATION.split()
    ),
    *(
        _entry(name, partial(_one_scene, 96), ".detection", weights_backbone=None, **options)
        for name, options in _DETECTION.items()
    ),
    *(_entry(name, image(3, frames, side, side), ".video") for name, (frames, side) in _VIDEO.items()),
    _entry("mvit_v2_s", image(3, 16, 224, 224), ".video"),
    _entry("raft_small", _two_frames, ".optical_flow"),
)
