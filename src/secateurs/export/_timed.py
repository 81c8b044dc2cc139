"""How fast the exported file is, beside the model itself and the model compiled."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import nn

from secateurs.cost import Latency, latencies
from secateurs.export._example import Call

__all__ = ["timed"]


def timed(
    model: nn.Module, exported: nn.Module, call: Call, batches: Sequence[int], *, runtime: str, runner: str
) -> tuple[dict[str, Latency], dict[str, str]]:
    """Latency by runtime, all in turns; and the runtimes that could not be timed, with the reason.

    Args:
        model: on the CPU, in eval mode.
        exported: the file as a module.
        call: what to time, repeated to each of `batches`.
        runtime: what `exported` is called.
        runner: name and version of what runs it.
    """
    models: dict[str, nn.Module] = {"eager": model}
    missing: dict[str, str] = {}
    compiled = cast(nn.Module, torch.compile(model))
    try:
        with torch.inference_mode():
            for batch in batches:
                sized = call.sized(batch)
                compiled(*sized.args, **sized.kwargs)
        models["compiled"] = compiled
    except Exception as error:  # noqa: BLE001 - there may be no C++ compiler, or code that it cannot follow
        missing["compiled"] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    models[runtime] = exported
    found = latencies(models, call.args, call.kwargs, batch_sizes=batches)
    return _named(found, runner), missing


def _named(found: Mapping[str, Latency], runner: str) -> dict[str, Latency]:
    """With the version of what ran the file, in every entry alike."""
    name, _, version = runner.partition(" ")
    return {key: replace(one, versions={**one.versions, name: version}) for key, one in found.items()}
