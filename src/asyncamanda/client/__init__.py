"""The agent: what runs on the machine that is backed up."""
