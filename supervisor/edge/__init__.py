"""The outside world, one thing a file. Edge modules know `core` and never each other, `durable`, `groups` and `locks`
aside, which all may use."""
