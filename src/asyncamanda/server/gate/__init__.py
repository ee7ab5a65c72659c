"""What sshd starts, and the socket behind it."""
