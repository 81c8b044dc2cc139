"""What people look at: tables and pictures of run directories. Reads files, never live objects."""

from secateurs.reporting._catalogue import Entry, catalogue
from secateurs.reporting._channels import NormHistogram, channel_difference, norm_histogram
from secateurs.reporting._figure import PictureFormat, drawn_as
from secateurs.reporting._plots import write_plots, write_study, write_together
from secateurs.reporting._record import RunRecord, read_run
from secateurs.reporting._subset_log import subset_log
from secateurs.reporting._table import result_lines, result_table

__all__ = [
    "Entry",
    "NormHistogram",
    "PictureFormat",
    "RunRecord",
    "catalogue",
    "channel_difference",
    "drawn_as",
    "norm_histogram",
    "read_run",
    "result_lines",
    "result_table",
    "subset_log",
    "write_plots",
    "write_study",
    "write_together",
]
