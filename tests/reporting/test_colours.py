"""Methods can be told apart, with any colour vision, on light and on dark ground."""

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest

from secateurs.reporting._colours import DARK, PALETTE, colour_of, marker_of

Vector = npt.NDArray[np.float64]
# Machado, Oliveira and Fernandes, 2009, severity 1: what linear RGB looks like without one kind of cone.
VISION = {
    "normal": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.052]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]
    ),
}
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def linear(colour: str) -> Vector:
    values = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: Vector) -> Vector:
    """CIE 1976."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], LUMINANCE, [0.0193, 0.1192, 0.9505]])
    x, y, z = to_xyz @ rgb.clip(0, 1) / np.array([0.9505, 1.0, 1.089])
    fx, fy, fz = (np.cbrt(v) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return np.array([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])


def contrast(one: str, other: str) -> float:
    """WCAG 2."""
    low, high = sorted(float(LUMINANCE @ linear(colour)) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize(("palette", "apart"), [(PALETTE, 15.0), (DARK, 25.0)], ids=["light", "dark"])
def test_any_two_colours_differ(palette: tuple[str, ...], apart: float, vision: str) -> None:
    seen = [lab(VISION[vision] @ linear(colour)) for colour in palette]
    assert min(float(np.linalg.norm(one - other)) for one, other in combinations(seen, 2)) > apart


@pytest.mark.parametrize(("palette", "ground"), [(PALETTE, "#FFFFFF"), (DARK, "#15181C")], ids=["light", "dark"])
def test_all_colours_are_seen_on_their_ground(palette: tuple[str, ...], ground: str) -> None:
    assert min(contrast(colour, ground) for colour in palette) > 2.2


def test_methods_of_one_colour_have_other_markers() -> None:
    assert len({(colour_of(number), marker_of(number)) for number in range(64)}) == 64
