"""What the networks of a study are for: one file for each objective, and the table of them."""

from secateurs.recipes.objectives._base import PICTURES_FILE, Purpose
from secateurs.recipes.objectives._table import OBJECTIVES, ObjectiveName, open_objective

__all__ = ["OBJECTIVES", "PICTURES_FILE", "ObjectiveName", "Purpose", "open_objective"]
