"""What a doctor makes of what it found: values in, checks out."""
