"""How well do an image's nearest neighbours tell which digit it shows? Functions for Gristmill to call.

`load` measures all distances once; every call of `score` shares them. Each fold of ten holds every tenth image, from
`fold` on; an image is guessed from those of the other nine folds.
"""

from pathlib import Path

import numpy as np

DIGITS = Path(__file__).parent.parent / "data" / "digits.csv.gz"
FOLDS = 10
DATA = {}


def load():
    """Reads the images, and measures how far each is from each: 26 MB, there once for all workers."""
    table = np.loadtxt(DIGITS, delimiter=",")
    images = table[:, :-1]
    squares = (images**2).sum(axis=1)
    distances = np.sqrt(np.maximum(0.0, squares[:, None] + squares - 2.0 * images @ images.T))
    DATA.update(labels=table[:, -1].astype(int), distances=distances)
    print(f"{len(images)} images, {distances.nbytes / 1e6:.0f} MB of distances")


def score(neighbours, vote, fold):
    """The share of a fold that is guessed right by so many neighbours: one vote each, or the nearer the more."""
    labels = DATA["labels"]
    asked = np.arange(fold, len(labels), FOLDS)
    known = np.delete(np.arange(len(labels)), asked)
    apart = DATA["distances"][np.ix_(asked, known)]
    nearest = np.argsort(apart, axis=1, kind="stable")[:, :neighbours]
    weights = np.ones_like(nearest, float) if vote == "equal" else 1.0 / np.take_along_axis(apart, nearest, axis=1)
    votes = np.zeros((len(asked), 10))
    for place in range(neighbours):
        votes[np.arange(len(asked)), labels[known[nearest[:, place]]]] += weights[:, place]
    right = votes.argmax(axis=1) == labels[asked]
    print(f"{right.sum()} of {len(right)} right")
    return {"accuracy": right.mean(), "wrong": asked[~right]}
