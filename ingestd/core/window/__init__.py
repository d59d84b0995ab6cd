"""The articles that a new one is compared with, held in columns."""
