"""Telling people of the fleet: changes, a watchdog, a digest."""
