"""The way of one file: claimed, read, decided on, stored, and only then moved."""
