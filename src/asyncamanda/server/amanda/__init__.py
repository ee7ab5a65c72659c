"""Amanda's programs, and one run of amdump."""
