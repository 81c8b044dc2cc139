"""Training loops that are compared with each other: see benchmarks/training.py."""
