"""asyncamanda server: commands for the Amanda server. One file per subcommand."""

# name: what the list of commands says of it. Only the module that is asked for is loaded.
SUBCOMMANDS = {
    "setup": "prepare this Amanda server for clients",
    "invite": "make a code by which a new client enrolls itself",
    "enroll": "enroll a client by its public key",
    "disk": "add, remove or change a client's disks in the disklist",
    "rekey": "replace an enrolled client's key",
    "rename": "give an enrolled client another name",
    "revoke": "remove a client's access",
    "retire": "remove a client that is gone: its access, and its lines of the disklist",
    "lost": "refuse a lost client's key, keep its newest backup, and invite its replacement",
    "found": "take `server lost` back, or keep nothing for it any more",
    "clients": "list enrolled clients",
    "fleet": "show which clients are protected, which are not, and why",
    "doctor": "check everything a client's backup needs and suggest fixes",
    "digest": "show or mail what changed, who needs attention, and what to do",
    "queue": "show waiting clients and current runs",
    "check": "check all clients, or one, as a plugin of Nagios or Icinga",
    "metrics": "print metrics of all clients for Prometheus",
    "runs": "list runs, and the result of each DLE",
    "flush": "flush the holding disk",
    "page": "write the page of all clients, for a browser",
    "list": "list what can be restored of a client's backups",
    "restore": "restore files of a client's backups on this server",
    "drill": "prove that a client's backups can be restored",
    "restores": "list what was restored: when, by whom, which files",
    "export": "write all that this server knows into one file, for a new server",
    "import": "make this machine the server that an export is of",
    "dispatch": "run the dispatcher in the foreground",
}

# the same of those that only other programs call
HIDDEN = {
    "drills": "make the drills that are due",
    "join": "enroll a machine that has a code",
    "reach": "find how far back each client's backups go",
    "daily": "export this server as server.toml says, when runs have ended",
    "refresh": "update what shows the fleet",
    "keep": "keep the heads of dumps that are in the holding disk",
}
