"""The server's decisions."""
