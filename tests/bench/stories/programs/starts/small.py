"""A task that is next to nothing: what it costs is its start."""

import time

import numpy as np


def add(index):
    """The sum of ten ones."""
    return float(np.ones(10).sum())


def rest(start, count):
    """A range of items of 10 ms each, that need no core: what takes longer than that is dispatch."""
    time.sleep(0.01 * count)
