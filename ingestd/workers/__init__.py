"""Processes that read files, fingerprint articles and move files."""
