"""What a client's backup needs on the client, looked at one after the other."""
