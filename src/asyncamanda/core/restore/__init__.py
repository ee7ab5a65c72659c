"""Giving files back: images, chains of them, and where in them each file is."""
