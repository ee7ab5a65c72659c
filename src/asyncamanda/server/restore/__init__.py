"""Giving files back: reading dumps, and writing one stream of what is wanted."""
