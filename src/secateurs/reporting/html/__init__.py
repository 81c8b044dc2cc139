"""Reports as HTML: one file, no network, nothing but the standard library to make it."""

from secateurs.reporting.html._network import network_picture
from secateurs.reporting.html._network_page import network_page
from secateurs.reporting.html._network_svg import network_svg
from secateurs.reporting.html._page import Section, page
from secateurs.reporting.html._report import REPORT_FILE, report_page, write_report

__all__ = [
    "REPORT_FILE",
    "Section",
    "network_page",
    "network_picture",
    "network_svg",
    "page",
    "report_page",
    "write_report",
]
