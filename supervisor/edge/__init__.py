"""The outside world, one thing a file. Edge modules know `core` and never each other."""
