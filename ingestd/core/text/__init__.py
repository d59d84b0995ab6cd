"""Texts as numbers: tokens, shingles, term weights, and lines that recur."""
