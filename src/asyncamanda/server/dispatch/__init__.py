"""Requests into runs."""
