"""For how long a machine was used, and for how long since its last confirmed backup began."""
