"""asyncamanda server disk: commands for the disks of enrolled clients. One file per subcommand."""

# as in commands/server/__init__.py
SUBCOMMANDS = {
    "modernise": "let amgtar back up disks that GNUTAR does, starting with a full dump",
}
