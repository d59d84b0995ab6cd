"""Locality-sensitive hashing: signatures, and the index that proposes candidates."""
