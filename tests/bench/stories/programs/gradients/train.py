"""A training loop over many samples, alone or with a job an epoch.

    python train.py alone|jobs EPOCHS PARTS WEIGHTS

`alone` computes each epoch's gradient in this process; `jobs` has it computed in parts, by the daemon that runs here,
and adds these in their order. Both step against the gradient in the same way, and print the seconds and the weights.
"""

import json
import os
import sys
import time
from pathlib import Path

import nets
import numpy as np

RATE, MOMENTUM = 0.5, 0.9
SAMPLES = int(os.environ["SAMPLES"])


def alone(weights, epoch):
    """The mean loss and gradient, by this process."""
    loss, gradient = nets.loss_and_gradient(weights, 0, SAMPLES)
    return loss / SAMPLES, gradient / SAMPLES


def by_jobs(weights, epoch):
    """The same by a job, whose tasks find the weights in a file."""
    np.save(folder / f"{epoch}.npy", weights)
    job = client.submit({
        "name": f"epoch-{epoch}", "call": "nets:part_of_epoch", "preload": "nets:load", "python": sys.executable,
        "cwd": str(Path(__file__).parent), "env": {name: os.environ[name] for name in ("DIGITS", "SAMPLES", "WEIGHTS")},
        "items": {"list": [{"epoch": epoch, "first": first, "number": SAMPLES // parts}
                           for first in range(0, SAMPLES, SAMPLES // parts)]},
    })
    client.wait(job)
    loss, gradient = 0.0, np.zeros_like(weights)
    for row in client.results(job):  # in the order of the items, so that the sums are the same in every run
        loss += row["result"]["loss"]
        gradient += np.array(row["result"]["gradient"])
    return loss / SAMPLES, gradient / SAMPLES


how, epochs, parts, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
if how == "jobs":
    from gristmill import Client

    client = Client()
    gradient_of = by_jobs
else:
    nets.load()
    gradient_of = alone

weights, speed = nets.begin(), 0.0
losses = []
began = time.perf_counter()
for epoch in range(epochs):
    loss, gradient = gradient_of(weights, epoch)
    speed = MOMENTUM * speed - RATE * gradient
    weights = weights + speed
    losses.append(loss)
print(json.dumps({"seconds": time.perf_counter() - began, "losses": losses, "weights": weights.tolist()}))
