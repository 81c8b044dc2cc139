"""What a trace shows to stay only once it is over: what nothing read, and numbers that something did."""

from collections.abc import Mapping

import numpy as np

from secateurs.graph._labels import Algebra
from secateurs.graph._record import Info, Record

__all__ = ["settle_reads"]


def settle_reads(algebra: Algebra, record: Record, weights: Mapping[str, Info]) -> None:
    """Fix positions of weights that no view of them had, and positions whose numbers were read."""
    for origin, (label, why) in record.numbered.items():
        if origin in record.used:
            algebra.fix(label, why)
    for path in record.partly:
        if path in weights:
            _fix_unread(algebra, record, path, weights[path])


def _fix_unread(algebra: Algebra, record: Record, path: str, info: Info) -> None:
    """Places after the last of a shorter sequence, for example: another call may read them."""
    parts = record.partly[path]
    if parts is None:
        return
    # Most views have all of a dim, and its very label.
    whole = {id(label) for labels in parts for label in labels}
    left = [label for label in info.labels if label is not None and id(label) not in whole]
    if not left:
        return
    read = np.zeros(len(algebra), dtype=bool)
    read[0] = True
    for label in {id(label): label for labels in parts for label in labels if label is not None}.values():
        read[algebra.factors(label)] = True
    for label in left:
        algebra.fix(label[~read[algebra.factors(label)].all(1)], "not read in the traced call")
