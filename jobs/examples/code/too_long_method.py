"""Which other digits is this digit made of? A sound method that takes too long on one core.

Each image b is rebuilt from as few as possible of the other 1,796 images. With these as the columns of A (the mean
image subtracted, then scaled to length 1, as b is), its code x is the minimum of the lasso

    F(x) = 1/2 |A x - b|^2  +  lam |x|_1,        lam = 0.2 max |A' b|,

found by FISTA [1] with restarts [2], and stopped when the duality gap proves that F(x) is at most 0.001 * 1/2 |b|^2
above the minimum. The label is then guessed: the digit whose images in x alone rebuild b best [3].

One task is a mini-batch of images: it reads "start,count" from stdin, says how far it is, and writes one entry an
image to the file that GRIST_RESULT names. Without GRIST_RESULT it prints CSV, so that it can be tried by hand:

    echo 0,5 | python too_long_method.py      # index,label,guess,objective,gap,steps

[1] Beck, Teboulle: A fast iterative shrinkage-thresholding algorithm. SIAM J. Imaging Sciences 2 (2009) 183-202.
[2] O'Donoghue, Candès: Adaptive restart for accelerated gradient schemes. Found. Comput. Math. 15 (2015) 715-732.
[3] Wright et al.: Robust face recognition via sparse representation. IEEE Trans. PAMI 31 (2009) 210-227.
"""

import csv
import json
import os
import sys
from pathlib import Path

import numpy as np

DIGITS = Path(__file__).parent.parent / "data" / "digits.csv.gz"
SPARSITY = 0.2  # lam as a share of the one at which x would be all zeros
PRECISION = 1e-3  # of F(0) = 1/2 |b|^2
STEPS_AT_MOST = 10_000


def read_digits():
    """The images as rows of length 1 around their mean, and the digit that each of them shows."""
    table = np.loadtxt(DIGITS, delimiter=",")
    images = table[:, :-1] - table[:, :-1].mean(axis=0)
    return images / np.linalg.norm(images, axis=1, keepdims=True), table[:, -1].astype(int)


def objective_and_gap(atoms, image, lam, code):
    """F(code), and how far above the minimum it can be at most: its distance to a feasible point of the dual."""
    residual = image - code @ atoms
    objective = 0.5 * residual @ residual + lam * np.abs(code).sum()
    dual_point = residual * min(1.0, lam / np.abs(atoms @ residual).max())
    return objective, objective - (dual_point @ image - 0.5 * dual_point @ dual_point)


def find_code(atoms, image, lam, curvature):
    """The sparse code of an image by FISTA: a gradient step from a point ahead, then shrinkage towards zero."""
    code = ahead = np.zeros(len(atoms))
    momentum = 1.0
    for step in range(1, STEPS_AT_MOST + 1):
        descended = ahead - atoms @ (ahead @ atoms - image) / curvature
        new = np.sign(descended) * np.maximum(np.abs(descended) - lam / curvature, 0.0)
        if (ahead - new) @ (new - code) > 0:
            momentum = 1.0  # it runs uphill: restart
        new_momentum = (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
        ahead = new + (momentum - 1.0) / new_momentum * (new - code)
        code, momentum = new, new_momentum
        if step % 10 == 0:
            objective, gap = objective_and_gap(atoms, image, lam, code)
            if gap <= PRECISION * 0.5 * image @ image:
                return code, objective, gap, step
    raise ArithmeticError(f"no solution after {STEPS_AT_MOST} steps: gap {gap:.2g}")


def guess_label(atoms, labels, image, code):
    """The digit whose images alone, weighted as in the code, come nearest to the image."""
    errors = [np.linalg.norm(image - np.where(labels == digit, code, 0.0) @ atoms) for digit in range(10)]
    return int(np.argmin(errors))


def examine(index, images, labels, curvature):
    """All that is found out about one image."""
    image, others = images[index], np.delete(np.arange(len(images)), index)
    atoms = images[others]
    lam = SPARSITY * np.abs(atoms @ image).max()
    code, objective, gap, steps = find_code(atoms, image, lam, curvature)
    used = np.flatnonzero(code)
    return {
        "index": index,
        "label": int(labels[index]),
        "guess": guess_label(atoms, labels[others], image, code),
        "objective": round(float(objective), 6),
        "gap": round(float(gap), 6),
        "steps": steps,
        "made_of": {int(others[atom]): round(float(code[atom]), 6) for atom in used},
    }


def main():
    start, count = map(int, sys.stdin.read().split(","))
    result_file = os.environ.get("GRIST_RESULT")
    images, labels = read_digits()
    curvature = np.linalg.norm(images, 2) ** 2  # the steepest that the gradient can change

    entries = []
    for index in range(start, start + count):
        entry = examine(index, images, labels, curvature)
        entries.append(entry)
        if result_file:
            found = f"a {entry['label']}, taken for a {entry['guess']}, made of {len(entry['made_of'])} others"
            print(f"[{len(entries)}/{count}] image {index}: {found}")

    if result_file:
        Path(result_file).write_text(json.dumps(entries))
    else:
        csv.writer(sys.stdout).writerows(list(entry.values())[:-1] for entry in entries)


if __name__ == "__main__":
    main()
