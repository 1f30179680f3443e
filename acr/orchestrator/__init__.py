"""Which profile."""
