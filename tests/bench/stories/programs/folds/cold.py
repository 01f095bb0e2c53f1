"""`python cold.py HIDDEN RATE BATCH FOLD`: one fold of one point."""

import sys

import nets

hidden, rate, batch, fold = sys.argv[1:]
print(nets.accuracy(int(fold), int(hidden), float(rate), int(batch)))
