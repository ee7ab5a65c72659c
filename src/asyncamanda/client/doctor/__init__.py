"""What a client's backup needs on the client, checked one after the other."""
