"""Tests of secateurs.graph.model."""
