"""Tests of secateurs.graph.sizes."""
