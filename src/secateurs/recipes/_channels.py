"""What a cut takes from each layer, as people know it: by layer, and by place in the network before any cut."""

from secateurs.graph import Graph, Plan
from secateurs.surgery import lineage

__all__ = ["CHANNELS_FILE", "removed_channels"]

CHANNELS_FILE = "channels.json"


def removed_channels(graph: Graph, plan: Plan) -> dict[str, list[int]]:
    """Layer to the outputs that a plan takes from it, ascending; every layer that may lose some is there.

    Layers that are cut together (all that add to one stream) lose the same places, and each is named. Places are those
    of the network before its first cut.

    Args:
        graph: that the plan was made from.
        plan: what goes.
    """
    history = lineage(graph.model)
    found: dict[str, set[int]] = {}
    for axis in graph.axes:
        gone = set(plan.removed.get(axis.name, ()))
        for member in axis.members:
            if member.role != "produces":
                continue
            layer = member.path.rpartition(".")[0] or member.path
            places = history.places(member.path)[member.dim].tolist() if gone else []
            found.setdefault(layer, set()).update(
                places[position]
                for position, unit in zip(member.positions.tolist(), member.units.tolist(), strict=True)
                if unit in gone
            )
    return {layer: sorted(places) for layer, places in found.items()}
