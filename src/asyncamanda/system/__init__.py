"""The operating system: processes, files, locks, accounts, ssh and the clock."""
