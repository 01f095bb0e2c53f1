"""Recorded runs of real daemons, and how they were made."""
