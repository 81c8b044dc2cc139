"""The one table of colours and markers of methods, for pictures and for reports.

Light colours are those of Okabe and Ito (2008), but for their yellow, which is lost on white: in its place a violet.
Dark ones have the same hues. tests/reporting/test_colours.py holds all pairs apart for normal and for three kinds of
reduced colour vision.
"""

__all__ = ["BLUE", "DARK", "GREY", "LIGHT", "ORANGE", "PALETTE", "colour_of", "marker_of"]

BLUE, ORANGE, GREY, LIGHT = "#0072B2", "#E69F00", "#4D4D4D", "#D9D9D9"
PALETTE = (BLUE, ORANGE, "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#3D2B8C", GREY)
DARK = ("#277FCA", "#F7CE4F", "#0BCE77", "#DC73A1", "#AED0FF", "#D25006", "#9050FF", "#FFFFE6")
_MARKERS = "osD^vP*X"


def colour_of(number: int) -> str:
    """The colour of the variant or method that comes at this place in the study, in all its pictures."""
    return PALETTE[number % len(PALETTE)]


def marker_of(number: int) -> str:
    """Its marker, for those who print in grey; methods of one colour differ in it."""
    return _MARKERS[(number + number // len(PALETTE)) % len(_MARKERS)]
