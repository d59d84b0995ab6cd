"""Copies: compare two texts, explain the differences, and divide copies into groups."""
