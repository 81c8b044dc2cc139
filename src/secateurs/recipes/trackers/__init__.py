"""Trackers: services that show metrics of many runs. None is needed: metrics.jsonl and run.json hold everything."""

from secateurs.recipes.trackers._base import About, Status
from secateurs.recipes.trackers._check import check_trackers, where_to_look
from secateurs.recipes.trackers._section import TrackerName, TrackersSection, trackers_section
from secateurs.recipes.trackers._tracking import Tracking, new_id, open_tracking

__all__ = [
    "About",
    "Status",
    "TrackerName",
    "TrackersSection",
    "Tracking",
    "check_trackers",
    "new_id",
    "open_tracking",
    "trackers_section",
    "where_to_look",
]
