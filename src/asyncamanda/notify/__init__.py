"""The ways to tell people and watchdogs, of the client and of the server."""
