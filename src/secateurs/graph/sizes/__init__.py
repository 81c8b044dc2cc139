"""Where the sizes in a model's code come from, and what that means for a cut."""
