"""Telling people and watchdogs."""
