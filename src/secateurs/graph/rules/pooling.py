"""Pooling and resampling over trailing dims, channel by channel."""

from secateurs.graph._call import Call
from secateurs.graph.rules._registry import register

_DIMS = {"1d": 1, "2d": 2, "3d": 3}


@register(
    *[f"{kind}_pool{n}d" for kind in ("avg", "_adaptive_avg", "adaptive_avg") for n in (1, 2, 3)],
    *[f"{kind}_pool{n}d" for kind in ("max", "adaptive_max") for n in (1, 2, 3)],
    *[f"max_pool{n}d_with_indices" for n in (1, 2, 3)],
    *[f"upsample_{kind}" for kind in ("nearest1d", "nearest2d", "nearest3d", "linear1d")],
    *[f"upsample_{kind}" for kind in ("bilinear2d", "bicubic2d", "trilinear3d")],
    *[f"_upsample_{kind}_aa" for kind in ("bilinear2d", "bicubic2d", "lanczos2d")],
    *[f"_upsample_nearest_exact{n}d" for n in (1, 2, 3)],
    *[f"{kind}_pad{n}d" for kind in ("reflection", "replication") for n in (1, 2, 3)],
)
def window(call: Call) -> None:
    """The last one to three dims are resampled; the others pass."""
    call.uncounted()
    data = call.args[0]
    spatial = next(count for name, count in _DIMS.items() if name in call.name)
    labels = call.labels(data)
    for label in labels[-spatial:]:
        call.fix(label, "resampled along it")
    results = call.out if isinstance(call.out, (tuple, list)) else [call.out]
    passed = [*labels[:-spatial], *[None for _ in range(spatial)]]
    call.assign(*[passed for _ in results])
