"""The lost server: everything but the volumes into one file, and out of it on a new machine."""
