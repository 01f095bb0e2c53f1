"""One point of a grid search: train a small net on nine tenths of the digits, test it on the tenth that is left.

The net is 64 pixels -> hidden units (ReLU) -> 10 digits (softmax), trained on the cross-entropy by stochastic
gradient descent with momentum, in NumPy alone. The same arguments always give the same numbers.

    python train.py --hidden 32 --rate 0.05 --fold 0

The result, {"accuracy", "right", "tested", "loss"}, goes as JSON to the file that GRIST_RESULT names, or is printed.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np

DIGITS = Path(__file__).parent.parent / "data" / "digits.csv.gz"
FOLDS = 10
EPOCHS = 30
BATCH = 16
MOMENTUM = 0.9


def read_digits():
    """The images with pixels between 0 and 1, and the digit that each of them shows."""
    table = np.loadtxt(DIGITS, delimiter=",")
    return table[:, :-1] / 16.0, table[:, -1].astype(int)


def split(total, fold):
    """Which images train and which test: all points of the grid share one shuffle, so that folds can be compared."""
    order = np.random.default_rng(1797).permutation(total)
    tested = order[fold::FOLDS]
    return np.setdiff1d(order, tested), tested


def make_net(hidden, random):
    """Weights and biases of both layers, as large as ReLU wants them (He et al., ICCV 2015)."""
    return [
        random.normal(0.0, np.sqrt(2.0 / 64), (64, hidden)),
        np.zeros(hidden),
        random.normal(0.0, np.sqrt(2.0 / hidden), (hidden, 10)),
        np.zeros(10),
    ]


def predict(net, images):
    """What the hidden units say to each image, and the probability of each digit."""
    weights_1, biases_1, weights_2, biases_2 = net
    hidden = np.maximum(images @ weights_1 + biases_1, 0.0)
    scores = hidden @ weights_2 + biases_2
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return hidden, powers / powers.sum(axis=1, keepdims=True)


def find_loss(net, images, labels):
    """The mean cross-entropy, and its gradient by each array of the net."""
    hidden, chances = predict(net, images)
    rows = np.arange(len(labels))
    loss = -np.log(chances[rows, labels]).mean()

    by_scores = chances.copy()
    by_scores[rows, labels] -= 1.0
    by_scores /= len(labels)
    by_hidden = (by_scores @ net[2].T) * (hidden > 0.0)
    return loss, [images.T @ by_hidden, by_hidden.sum(axis=0), hidden.T @ by_scores, by_scores.sum(axis=0)]


def train(net, images, labels, rate, random):
    """Change the net in place, batch by batch, and return the mean loss of the last epoch."""
    speeds = [np.zeros_like(array) for array in net]
    for epoch in range(1, EPOCHS + 1):
        losses = []
        order = random.permutation(len(labels))
        for first in range(0, len(order), BATCH):
            batch = order[first : first + BATCH]
            loss, gradients = find_loss(net, images[batch], labels[batch])
            losses.append(loss)
            for array, speed, gradient in zip(net, speeds, gradients, strict=True):
                speed[:] = MOMENTUM * speed - rate * gradient
                array[:] += speed
        print(f"epoch {epoch}/{EPOCHS} loss {np.mean(losses):.4f}")
    return np.mean(losses)


def main():
    parser = argparse.ArgumentParser(description="Train a small net on the digits and test it on one fold.")
    parser.add_argument("--hidden", type=int, default=32, help="hidden units")
    parser.add_argument("--rate", type=float, default=0.05, help="learning rate")
    parser.add_argument("--fold", type=int, default=0, choices=range(FOLDS), help="the tenth that is tested")
    arguments = parser.parse_args()

    images, labels = read_digits()
    training, tested = split(len(labels), arguments.fold)
    random = np.random.default_rng(arguments.fold)
    net = make_net(arguments.hidden, random)
    loss = train(net, images[training], labels[training], arguments.rate, random)

    _, chances = predict(net, images[tested])
    right = int((chances.argmax(axis=1) == labels[tested]).sum())
    print(f"fold {arguments.fold}: {right} of {len(tested)} right")
    result = {
        "accuracy": round(right / len(tested), 6),
        "right": right,
        "tested": len(tested),
        "loss": round(float(loss), 6),
    }
    if "GRIST_RESULT" in os.environ:
        Path(os.environ["GRIST_RESULT"]).write_text(json.dumps(result))
    else:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
