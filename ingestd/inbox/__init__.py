"""The files in the watched folders, and the complete files among the rest."""
