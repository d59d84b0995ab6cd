"""Texts as they are compared: words, shingles, recurring lines and term weights."""
