"""Processes to read files, fingerprint articles and move files."""
