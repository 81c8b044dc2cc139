"""Markers of methods."""

import math
from collections.abc import Sequence
from typing import TypeAlias

from secateurs.reporting._colours import PALETTE
from secateurs.reporting.html._markup import Markup, tag
from secateurs.reporting.html._numbers import plain

__all__ = ["symbol"]

_Shape: TypeAlias = Sequence[tuple[float, float]]


def symbol(number: int | None, x: float, y: float, size: float = 4.5) -> Markup:
    """The marker of a method, the same as in pictures; a pentagon for what is no method."""
    if number is None:
        return _polygon(x, y, size, _PENTAGON)
    # As `marker_of` has them.
    shapes = (None, _SQUARE, _DIAMOND, _UP, _DOWN, _PLUS, _STAR, _CROSS)
    shape = shapes[(number + number // len(PALETTE)) % len(shapes)]
    if shape is None:
        return tag("circle", cx=plain(x), cy=plain(y), r=plain(size))
    return _polygon(x, y, size, shape)


def _ring(count: int, start: float, inner: float | None = None) -> _Shape:
    """Corners of a regular polygon, or of a star."""
    steps = count if inner is None else 2 * count
    radii = [1.0 if inner is None or step % 2 == 0 else inner for step in range(steps)]
    angles = [start + 2 * math.pi * step / steps for step in range(steps)]
    return [(radius * math.cos(angle), radius * math.sin(angle)) for radius, angle in zip(radii, angles, strict=True)]


def _cross(turned: bool) -> _Shape:
    arm, thin = 1.15, 0.38
    corners = [(arm, thin), (thin, thin), (thin, arm), (-thin, arm), (-thin, thin), (-arm, thin)]
    corners += [(-x, -y) for x, y in corners]
    half = math.sqrt(0.5)
    return [(half * (x - y), half * (x + y)) for x, y in corners] if turned else corners


_SQUARE = _ring(4, math.pi / 4)
_DIAMOND = _ring(4, 0.0)
_UP = _ring(3, -math.pi / 2)
_DOWN = _ring(3, math.pi / 2)
_PENTAGON = _ring(5, -math.pi / 2)
_STAR = _ring(5, -math.pi / 2, 0.45)
_PLUS = _cross(False)
_CROSS = _cross(True)


def _polygon(x: float, y: float, size: float, shape: _Shape) -> Markup:
    grown = 1.25 * size
    return tag("polygon", points=" ".join(f"{plain(x + grown * dx)},{plain(y + grown * dy)}" for dx, dy in shape))
