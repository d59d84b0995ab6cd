"""Corpus ingestion with a watch folder: finds copies and events among news articles."""

__version__ = "0.1.0"
