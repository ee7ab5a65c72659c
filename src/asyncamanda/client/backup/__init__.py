"""One backup, from the lock to what is told of it afterwards."""
