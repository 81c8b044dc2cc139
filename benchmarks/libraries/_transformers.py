"""transformers: small random configurations with the structure of the real ones; heads and key-value heads vary."""

from benchmarks.libraries._transformers_language import LANGUAGE
from benchmarks.libraries._transformers_perception import PERCEPTION

__all__ = ["TRANSFORMERS"]

TRANSFORMERS = (*LANGUAGE, *PERCEPTION)
