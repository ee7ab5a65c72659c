"""Amanda's own formats."""
