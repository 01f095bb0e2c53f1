"""Guess each digit by the other image that is nearest to it: one range of images a task.

    python nearest.py 100 3      # images 100, 101 and 102

One entry an image goes into the file that GRIST_RESULT names, as a list: so each image has a row of its own in
`grist results`. Without GRIST_RESULT they are printed.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np

DIGITS = Path(__file__).parent.parent / "data" / "digits.csv.gz"


def find_nearest(images, index):
    """The index of the image nearest to the one at `index`, itself left out, and how far away it is."""
    squares = ((images - images[index]) ** 2).sum(axis=1)
    squares[index] = np.inf
    nearest = int(squares.argmin())
    return nearest, float(np.sqrt(squares[nearest]))


def main(start, count):
    table = np.loadtxt(DIGITS, delimiter=",")
    images, labels = table[:, :-1], table[:, -1].astype(int)
    found = []
    for index in range(start, start + count):
        nearest, distance = find_nearest(images, index)
        guess, label = int(labels[nearest]), int(labels[index])
        found.append({"label": label, "guess": guess, "nearest": nearest, "distance": round(distance, 3)})
    if "GRIST_RESULT" in os.environ:
        Path(os.environ["GRIST_RESULT"]).write_text(json.dumps(found))
    else:
        print(*map(json.dumps, found), sep="\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
