"""Which of two texts is a copy of the other, and who represents a group of copies."""
