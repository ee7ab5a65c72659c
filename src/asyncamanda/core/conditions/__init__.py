"""Is this a good moment for a backup."""
