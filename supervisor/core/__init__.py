"""Decisions only: no clock, no file, no process, no randomness; what is needed comes in as an argument."""
