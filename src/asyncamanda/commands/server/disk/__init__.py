"""asyncamanda server disk: commands for the disks of enrolled clients. One file per subcommand."""

# as in commands/server/__init__.py
SUBCOMMANDS = {
    "add": "add disks of an enrolled client to the disklist",
    "remove": "turn the lines of an enrolled client's disks into comments",
    "modernise": "let amgtar back up disks that GNUTAR does, starting with a full dump",
}
