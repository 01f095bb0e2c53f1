"""Feed-forward nets on the digits: what one point of a search gives on one of ten folds.

The net is 64 pixels -> hidden units (ReLU) -> 10 digits (softmax), trained by stochastic gradient descent in NumPy. The
same arguments always give the same number, whoever asks and where.
"""

import os

import numpy as np

FOLDS = 10
EPOCHS = 4
images = labels = order = None


def load():
    """Reads the digits once; `COPIES` of them in a row make a set that is large."""
    global images, labels, order
    table = np.loadtxt(os.environ["DIGITS"], delimiter=",")
    copies = int(os.environ.get("COPIES", "1"))
    images = np.tile(table[:, :-1] / 16.0, (copies, 1))
    labels = np.tile(table[:, -1].astype(int), copies)
    order = np.random.default_rng(1797).permutation(len(labels))


def accuracy(fold, hidden, rate, batch, momentum=0.9, decay=0.0, noise=0.0, scale=1.0, seed=0):
    """Trains on nine tenths and returns the share of the tenth that is told right."""
    if images is None:
        load()
    random = np.random.default_rng([fold, seed])
    net = [
        random.normal(0.0, scale * np.sqrt(2.0 / 64), (64, hidden)), np.zeros(hidden),
        random.normal(0.0, scale * np.sqrt(2.0 / hidden), (hidden, 10)), np.zeros(10),
    ]
    train(net, fold, rate, batch, momentum, decay, noise, random)
    tested = order[fold::FOLDS]
    right = 0
    for first in range(0, len(tested), 1000):
        some = tested[first : first + 1000]
        right += int((predict(net, images[some])[1].argmax(axis=1) == labels[some]).sum())
    return right / len(tested)


def draw(fold, number, random):
    """So many images of the whole tens that are not of this fold; nobody needs a list of all of these."""
    places = random.integers(0, len(order) // FOLDS * (FOLDS - 1), number)
    return order[places // (FOLDS - 1) * FOLDS + (fold + 1 + places % (FOLDS - 1)) % FOLDS]


def train(net, fold, rate, batch, momentum, decay, noise, random):
    """Changes the net in place, batch by batch."""
    speeds = [np.zeros_like(array) for array in net]
    steps = int(os.environ.get("STEPS", "0")) or EPOCHS * len(order) // batch
    for _ in range(steps):
        chosen = draw(fold, batch, random)
        seen = images[chosen]
        if noise:
            seen = seen + random.normal(0.0, noise, seen.shape)
        hidden, chances = predict(net, seen)
        chances[np.arange(batch), labels[chosen]] -= 1.0
        chances /= batch
        back = (chances @ net[2].T) * (hidden > 0.0)
        gradients = [seen.T @ back, back.sum(axis=0), hidden.T @ chances, chances.sum(axis=0)]
        for array, speed, gradient in zip(net, speeds, gradients):
            speed *= momentum
            speed -= rate * (gradient + decay * array)
            array += speed


def predict(net, seen):
    """What the hidden units say to each image, and the probability of each digit."""
    hidden = np.maximum(seen @ net[0] + net[1], 0.0)
    scores = hidden @ net[2] + net[3]
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return hidden, powers / powers.sum(axis=1, keepdims=True)
