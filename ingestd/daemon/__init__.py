"""The process that watches folders until it is asked to stop."""
