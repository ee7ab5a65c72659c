"""Amanda's way back to a client."""
