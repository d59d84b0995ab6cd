"""Which articles belong together: candidates are proposed, verified, grouped and clustered."""
