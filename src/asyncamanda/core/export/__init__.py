"""What an export of a server holds: its members' names, its manifest, when one is made."""
