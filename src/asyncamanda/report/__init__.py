"""Plain values in, text or JSON out."""
