"""The way of a file: claimed, read, decided on, stored, and only then moved."""
