"""Tests of secateurs.models."""
