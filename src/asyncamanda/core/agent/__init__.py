"""The client's decisions."""
