"""One plan for all ranks."""

from collections.abc import Callable

from secateurs import _distributed
from secateurs.graph import Plan

__all__ = ["planned"]


def planned(make: Callable[[], Plan]) -> Plan:
    """The plan that rank 0 makes, on every rank; what refuses it is raised on every rank."""
    if _distributed.world() == 1:
        return make()
    return Plan.from_json(_distributed.decided(lambda: make().to_json()), where="the plan of rank 0")
