"""The fleet: what is known of each client, which state follows from it, and why."""
