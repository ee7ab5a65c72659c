"""The first time: key, server, configuration."""
