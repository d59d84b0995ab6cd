"""The part that computes. It touches no disk, clock, network, database or log; time arrives as a value."""
