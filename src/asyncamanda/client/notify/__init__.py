"""Notifying people and watchdogs: the client's part."""
