"""Matching: propose candidates, verify copies, group copies, and cluster the articles on one event."""
