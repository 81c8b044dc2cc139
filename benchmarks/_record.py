"""What a child process learns of one model, written down as it goes, so that a killed child leaves its last stage."""

import json
import resource
import time
from pathlib import Path
from typing import Any

__all__ = ["Record", "peak_bytes"]


def peak_bytes() -> int:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Record:
    """A JSON object in a file."""

    def __init__(self, path: Path, **facts: Any) -> None:
        self.path, self.facts = path, dict(facts)
        self.start = time.perf_counter()
        self.stage("import")

    def stage(self, name: str) -> None:
        """From now on, this is what the child does."""
        self.note(stage=name, wall_s=round(time.perf_counter() - self.start, 2))

    def note(self, **facts: Any) -> None:
        """Add facts, and write all of them."""
        self.facts.update(facts)
        written = self.path.with_suffix(".part")
        written.write_text(json.dumps(self.facts))
        written.replace(self.path)
