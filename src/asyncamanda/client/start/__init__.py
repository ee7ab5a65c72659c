"""What one start is to do."""
