"""Giving files back: asking the server for them, and putting them in their place."""
