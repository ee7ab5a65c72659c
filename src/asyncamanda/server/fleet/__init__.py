"""The fleet as the server knows it: gathered, kept, and shown."""
