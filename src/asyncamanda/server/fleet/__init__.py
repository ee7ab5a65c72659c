"""The fleet as the server sees it: gathered once, and handed to all that show or tell it."""
