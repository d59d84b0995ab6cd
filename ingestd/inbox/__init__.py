"""Which files lie in the watched folders, and which of them are complete."""
