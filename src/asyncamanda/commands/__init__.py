"""One file a command: add_arguments() and run()."""
