"""Rank the points of a grid search by their mean accuracy over the folds, best first.

    grist results grid_search --json | python best.py

Each line that comes in is one item: {"item", "params", "task", "result"}. Items without a result are not counted.
"""

import json
import statistics
import sys


def read_folds(lines):
    """The accuracies of all folds of each point: {(("hidden", 8), ("rate", 0.01)): [0.87, ...], ...}."""
    points = {}
    for line in lines:
        item = json.loads(line)
        if item["result"] is None:
            continue
        point = tuple((name, value) for name, value in item["params"].items() if name != "fold")
        points.setdefault(point, []).append(item["result"]["accuracy"])
    return points


def main():
    points = read_folds(sys.stdin)
    if not points:
        sys.exit("no results yet")
    print("accuracy  spread  folds  point")
    for point, folds in sorted(points.items(), key=lambda pair: -statistics.mean(pair[1])):
        named = " ".join(f"{name}={value}" for name, value in point)
        print(f"{statistics.mean(folds):8.4f}  {statistics.pstdev(folds):6.4f}  {len(folds):5}  {named}")


if __name__ == "__main__":
    main()
