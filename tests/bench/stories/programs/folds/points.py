"""The three stages of the search: 24 points, then six around each of the four best, then 54 around each of those.

    grist results stage-1 --json | python points.py 2 > stage-2.jsonl

reads what a stage gave, a line a fold, and prints the points of the next one, a line a fold; `best` in place of the
number prints the best point and its mean accuracy.
"""

import json
import sys
from itertools import product
from statistics import mean

KEPT = 4
FIRST = {"hidden": [8, 16, 24, 32], "rate": [0.05, 0.1, 0.2], "batch": [32, 64]}
AROUND = {
    2: {"momentum": [0.5, 0.9], "scale": [0.5, 1.0, 1.5]},
    3: {"decay": [0.0, 1e-5, 1e-4], "noise": [0.0, 0.05, 0.1], "seed": [1, 2, 3, 4, 5, 6]},
}


def combined(values):
    """Every combination."""
    return [dict(zip(values, chosen)) for chosen in product(*values.values())]


def best(scored):
    """The points of (point with its fold, accuracy), best mean first; of equal ones the first by its numbers."""
    folds = {}
    for point, accuracy in scored:
        named = tuple(sorted((name, value) for name, value in point.items() if name != "fold"))
        folds.setdefault(named, []).append(accuracy)
    ranked = sorted((-mean(found), named) for named, found in folds.items())
    return [(dict(named), -negative) for negative, named in ranked]


def following(stage, scored):
    """The points of the next stage, in order."""
    return [point | more for point, _ in best(scored)[:KEPT] for more in combined(AROUND[stage])]


def in_folds(points):
    """Every point, ten times."""
    return [point | {"fold": fold} for point in points for fold in range(10)]


if __name__ == "__main__":
    lines = [json.loads(line) for line in sys.stdin]
    scored = [(line["params"], line["result"]) for line in lines]
    if sys.argv[1] == "best":
        point, accuracy = best(scored)[0]
        print(json.dumps({"point": point, "accuracy": accuracy}))
    else:
        for point in in_folds(following(int(sys.argv[1]), scored)):
            print(json.dumps(point))
