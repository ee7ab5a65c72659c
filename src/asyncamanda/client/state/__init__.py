"""What lasts between starts."""
