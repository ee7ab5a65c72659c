"""What is decided, on values alone: no I/O, no clock, no environment."""
