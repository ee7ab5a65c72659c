"""What starts the agent by itself."""
