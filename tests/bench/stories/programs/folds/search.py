"""What the person had: the search as a loop over joblib.

    python search.py BACKEND JOBS STAGES      # sequential, loky, gristmill

prints the seconds, the best point and its accuracy, as JSON.
"""

import contextlib
import json
import sys
import time

import joblib
import nets
import points


def scored(wanted):
    """(point, accuracy) of every point on every fold."""
    wanted = points.in_folds(wanted)
    found = joblib.Parallel()(joblib.delayed(nets.accuracy)(**point) for point in wanted)
    return list(zip(wanted, found))


def search(stages):
    """The best point after so many stages, and its mean accuracy."""
    found = scored(points.combined(points.FIRST))
    for stage in range(2, stages + 1):
        found = scored(points.following(stage, found))
    return points.best(found)[0]


backend, jobs, stages = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
more = {}
if backend == "gristmill":
    import gristmill

    gristmill.register_joblib()
    more = {"name": "search"}
nets.load()
with joblib.parallel_config(backend, n_jobs=jobs, **more) if backend != "sequential" else contextlib.nullcontext():
    joblib.Parallel()(joblib.delayed(abs)(number) for number in range(4))  # the workers are there
    began = time.perf_counter()
    point, accuracy = search(stages)
    print(json.dumps({"seconds": time.perf_counter() - began, "point": point, "accuracy": accuracy}))
