"""Redis for hoopx, in a distribution of its own."""
