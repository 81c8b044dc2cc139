"""Models of other libraries, by name: what the benchmark runs over and the slow tests draw from.

Each library is imported only when one of its models is built. Nothing here downloads weights.
"""

from benchmarks.libraries._entry import Call, Entry
from benchmarks.libraries._timm import TIMM
from benchmarks.libraries._torchvision import TORCHVISION
from benchmarks.libraries._transformers import TRANSFORMERS
from benchmarks.libraries._usual import USUAL

__all__ = ["LIBRARIES", "MODELS", "USUAL", "Call", "Entry"]

LIBRARIES = ("torchvision", "timm", "transformers")
MODELS: dict[str, Entry] = {entry.name: entry for entry in (*TORCHVISION, *TIMM, *TRANSFORMERS)}
