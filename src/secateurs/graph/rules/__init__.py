"""Operator rules, one file per family; importing a family registers its operators."""

from secateurs.graph.rules import (
    attention,
    contraction,
    convolution,
    creation,
    embedding,
    gating,
    joining,
    normalisation,
    pooling,
    reduction,
    viewing,
)
from secateurs.graph.rules._registry import RULES, register, rule_for

__all__ = [
    "RULES",
    "attention",
    "contraction",
    "convolution",
    "creation",
    "embedding",
    "gating",
    "joining",
    "normalisation",
    "pooling",
    "reduction",
    "register",
    "rule_for",
    "viewing",
]
