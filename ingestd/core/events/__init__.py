"""Event clusters: term vectors, linkage and medoids."""
