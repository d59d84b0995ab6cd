"""Locality-sensitive hashing: signatures, and the indexes that propose candidates."""
