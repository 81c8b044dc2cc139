"""Tests of secateurs.graph."""
