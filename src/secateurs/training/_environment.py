"""What Lightning Fabric is told about the processes that there are."""

from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment

from secateurs import _distributed
from secateurs._errors import ConfigError
from secateurs._process_group import Place

__all__ = ["JoinedEnvironment", "place_here"]


class JoinedEnvironment(ClusterEnvironment):
    """The process group that this process has joined already; nothing is started or set here."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        raise NotImplementedError("the process group has been joined")

    @property
    def main_port(self) -> int:
        raise NotImplementedError("the process group has been joined")

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self._place.world

    def set_world_size(self, size: int) -> None:
        pass

    def global_rank(self) -> int:
        return self._place.rank

    def set_global_rank(self, rank: int) -> None:
        pass

    def local_rank(self) -> int:
        return self._place.local_rank

    def node_rank(self) -> int:
        return self._place.rank // self._place.local_world


def place_here() -> Place:
    """Where this process is among the ranks of its group.

    Raises:
        ConfigError: a group of processes that torchrun did not start, or machines with different numbers of them.
    """
    place = Place.current()
    ranks = (_distributed.rank(), _distributed.world())
    if place is None or (place.rank, place.world) != ranks or place.world % place.local_world:
        raise ConfigError(
            "training",
            wanted="a process group of torchrun's, with equally many processes on each machine",
            got=f"rank {ranks[0]} of {ranks[1]}, and {place} in the environment",
            cure="Start the ranks by torchrun --nproc-per-node N, or by devices=N in a recipe.",
        )
    return place
