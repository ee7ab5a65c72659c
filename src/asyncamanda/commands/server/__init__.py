"""asyncamanda server: what is done at the Amanda server. One file a subcommand."""

# name: what the list of commands says of it. Only the module that is asked for is loaded.
SUBCOMMANDS = {
    "setup": "make this Amanda server ready for clients",
    "enroll": "let a client in, by its public key",
    "revoke": "let a client in no more",
    "clients": "list who may come in",
    "doctor": "check all that a client's backup needs, and say what mends it",
    "queue": "who waits, and what runs",
    "runs": "the runs, and what became of each DLE",
    "flush": "bring held dumps to a volume",
    "dispatch": "be the dispatcher, in the foreground",
}
