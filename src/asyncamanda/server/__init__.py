"""What runs on the Amanda server: the gate, the dispatcher, and what they keep."""
