"""Notifying people and watchdogs."""
