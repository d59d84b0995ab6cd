"""How the tables came to be what they are, a step at a time."""

NEWEST = "0002"  # the version that this program needs; known here so that a command need not load Alembic to see it
