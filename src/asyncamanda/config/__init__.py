"""The configuration files: client.py and server.py say what each holds, reader.py reads both."""
