"""Trackers, with stand-ins and with the real services."""
