"""Talking to the server's gate."""
