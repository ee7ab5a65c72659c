"""Amanda backups for machines that are not always connected."""

__version__ = "0.1.0"
