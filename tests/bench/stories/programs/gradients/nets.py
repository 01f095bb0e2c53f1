"""Loss and gradient of a net over many samples: digits drawn anew, each with its own noise.

64 pixels -> 256 units (tanh) -> 10 digits (softmax). All weights are one vector; a gradient is a vector like it. With
`DRAWS` a sample is long: the mean over so many noisy copies of its image.
"""

import json
import os
from pathlib import Path

import numpy as np

HIDDEN = 256
SHAPES = [(64, HIDDEN), (HIDDEN,), (HIDDEN, 10), (10,)]
AT_ONCE = 1_000  # samples in one product of matrices: what fits into a core's cache
images = labels = None


def load():
    """Draws the samples, once: as many as `SAMPLES` says, kept as float32."""
    global images, labels
    table = np.loadtxt(os.environ["DIGITS"], delimiter=",")
    random = np.random.default_rng(0)
    chosen = random.integers(0, len(table), int(os.environ["SAMPLES"]))
    images = (table[:, :-1] / 16.0).astype(np.float32)[chosen]
    images += 0.05 * random.standard_normal(images.shape, np.float32)
    labels = table[chosen, -1].astype(int)


def begin():
    """The weights before the first step."""
    random = np.random.default_rng(1)
    arrays = [random.normal(0.0, len(shape) > 1 and shape[0] ** -0.5, shape) for shape in SHAPES]  # biases: 0
    return np.concatenate([array.ravel() for array in arrays])


def loss_and_gradient(weights, start, count):
    """The sums of the loss and of its gradient over these samples."""
    draws = int(os.environ.get("DRAWS", "1"))
    loss, gradient = 0.0, np.zeros_like(weights)
    for seen, wanted in pieces(start, start + count, draws):
        part, by_weights = piece(weights, seen, wanted)
        loss += part / draws
        gradient += by_weights / draws
    return loss, gradient


def pieces(start, end, draws):
    """Images and labels, in pieces that a core's cache holds."""
    if draws == 1:
        for first in range(start, end, AT_ONCE):
            some = slice(first, min(first + AT_ONCE, end))
            yield images[some].astype(float), labels[some]
    else:
        for sample in range(start, end):
            noise = np.random.default_rng(sample).standard_normal((draws, 64))
            yield images[sample] + 0.05 * noise, np.repeat(labels[sample], draws)


def piece(weights, seen, wanted):
    """The sums over some images at once."""
    arrays, at = [], 0
    for shape in SHAPES:
        size = int(np.prod(shape))
        arrays.append(weights[at : at + size].reshape(shape))
        at += size
    hidden = np.tanh(seen @ arrays[0] + arrays[1])
    scores = hidden @ arrays[2] + arrays[3]
    scores -= scores.max(axis=1, keepdims=True)
    chances = np.exp(scores)
    chances /= chances.sum(axis=1, keepdims=True)
    rows = np.arange(len(wanted))
    loss = -np.log(chances[rows, wanted]).sum()
    chances[rows, wanted] -= 1.0
    back = (chances @ arrays[2].T) * (1.0 - hidden**2)
    gradients = [seen.T @ back, back.sum(axis=0), hidden.T @ chances, chances.sum(axis=0)]
    return loss, np.concatenate([gradient.ravel() for gradient in gradients])


def part(start, count):
    """What a task gives back: loss and gradient over a range of samples, at the first weights."""
    loss, gradient = loss_and_gradient(begin(), start, count)
    return {"samples": count, "loss": loss, "gradient": gradient.tolist()}


def part_of_epoch(epoch, first, number):
    """The same at the weights of an epoch, which lie in a file of its number."""
    loss, gradient = loss_and_gradient(np.load(Path(os.environ["WEIGHTS"], f"{epoch}.npy")), first, number)
    return {"loss": loss, "gradient": gradient.tolist()}


def gather(lines):
    """What the gathering step makes of the results: samples, mean loss and the length of the mean gradient."""
    samples, loss, gradient = 0, 0.0, 0.0
    for line in lines:
        result = json.loads(line)["result"]
        samples += result["samples"]
        loss += result["loss"]
        gradient = gradient + np.array(result["gradient"])
    return {"samples": samples, "loss": loss / samples, "gradient": float(np.linalg.norm(gradient / samples))}
