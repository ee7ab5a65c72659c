"""ssh's command lines, faults and keys."""
