"""The process to watch folders until a signal to stop."""
