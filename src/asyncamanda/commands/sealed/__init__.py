"""Dumps that this machine has encrypted: read, listed, and given back where the key is."""
