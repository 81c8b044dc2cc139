"""What may be cut."""
