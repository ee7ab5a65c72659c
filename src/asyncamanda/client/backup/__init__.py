"""One backup, from the lock to the notifications afterwards."""
