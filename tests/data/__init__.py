"""Tests of secateurs.data."""
