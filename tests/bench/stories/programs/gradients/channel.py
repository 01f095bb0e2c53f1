"""What the person had: processes that send loss and gradient of their samples through a channel to one that adds.

    python channel.py PROCESSES PER_MESSAGE ROUNDS     # 0 processes: no channel, all in this one

prints for each round the seconds, the mean loss and the length of the mean gradient.
"""

import json
import multiprocessing
import sys
import time

import nets
import numpy as np


def send(numbers, channel, samples, size):
    """Takes ranges until there are no more, and sends what they give."""
    weights = nets.begin()
    for start in iter(numbers.get, None):
        channel.put(nets.loss_and_gradient(weights, start, min(size, samples - start)))


def collected(processes, samples, size):
    """The sums, through a channel."""
    context = multiprocessing.get_context("fork")  # the samples are there once, for all
    numbers, channel = context.Queue(), context.Queue(64)
    workers = [context.Process(target=send, args=(numbers, channel, samples, size)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    starts = range(0, samples, size)
    for start in starts:
        numbers.put(start)
    for _ in workers:
        numbers.put(None)
    loss, gradient = 0.0, 0.0
    for _ in starts:
        part, by_weights = channel.get()
        loss += part
        gradient = gradient + by_weights
    for worker in workers:
        worker.join()
    return loss, gradient


processes, size, rounds = map(int, sys.argv[1:])
nets.load()
samples = len(nets.labels)
for _ in range(rounds):
    began = time.perf_counter()
    if processes:
        loss, gradient = collected(processes, samples, size)
    else:
        loss, gradient = nets.loss_and_gradient(nets.begin(), 0, samples)
    seconds = time.perf_counter() - began
    length = float(np.linalg.norm(gradient / samples))
    print(json.dumps({"seconds": seconds, "loss": loss / samples, "gradient": length}))
