"""The trainings of one point on a large set, by joblib: `python memory.py loky|memmapped PROCESSES TRAININGS`.

`loky` lets each process read the set for itself, `memmapped` hands it over, which joblib does by a file in memory.
"""

import sys

import joblib
import nets

how, processes, trainings = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
point = {"hidden": 32, "rate": 0.1, "batch": 64}


def on(images, labels, order, fold):
    """One training on a set that is handed over."""
    nets.images, nets.labels, nets.order = images, labels, order
    return nets.accuracy(fold, **point)


run = joblib.Parallel(processes, batch_size=1)
if how == "memmapped":
    nets.load()
    run(joblib.delayed(on)(nets.images, nets.labels, nets.order, number % 10) for number in range(trainings))
else:
    run(joblib.delayed(nets.accuracy)(number % 10, **point) for number in range(trainings))
