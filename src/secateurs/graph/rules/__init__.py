"""Operator rules, one file per family; importing a family registers its operators."""

from secateurs.graph.rules import (
    attention,
    contraction,
    convolution,
    creation,
    embedding,
    gating,
    indexing,
    inspection,
    joining,
    normalisation,
    pooling,
    reduction,
    summing,
    viewing,
)
from secateurs.graph.rules._registry import RULES, is_composite, register, rule_for, unknown

__all__ = [
    "RULES",
    "attention",
    "contraction",
    "convolution",
    "creation",
    "embedding",
    "gating",
    "indexing",
    "inspection",
    "is_composite",
    "joining",
    "normalisation",
    "pooling",
    "reduction",
    "register",
    "rule_for",
    "summing",
    "unknown",
    "viewing",
]
