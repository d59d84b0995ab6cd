"""Answers: what is stored, why it belongs together, and how good that is."""
