"""A model as somebody else wrote it: its tensors, its calls, what wraps it, and how it is left as it was."""
