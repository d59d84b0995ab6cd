"""Which articles cover the same event: term vectors, linkage and medoids."""
