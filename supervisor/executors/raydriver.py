"""What a Ray job of ours is: `raydriver.py FOLDER SLOTS MOST NEED` has Ray run the slots of one chunk, each somewhere.

A program of one file, run on the head by its Python (the one that has `ray`), and once more on a node as the guard of
a slot. A slot is one Ray task without retries: whether anything is tried again is the daemon's to say. What became of
tasks is in their records. What Ray's job server does not tell lies in `FOLDER/ray`: `SLOT@HOST` for each slot that has
begun, and in `over` a line for each that Ray runs no more: number, word, text.

Ray ends what it runs by SIGKILL, and knows of no grandchildren. So a guard stands between Ray's worker and the slot, in
a session of its own, and holds the reading end of a pipe: when that closes, since the worker was killed, its job was
stopped or its node has lost the head, the guard has `node.py` end the task with all that it started.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

DETACHED = """
import os, sys
os.fork() and os._exit(0)
os.setsid()
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def guard(folder: str, slot: str) -> None:
    """Runs a slot until it has ended; has it end when nobody holds the other end of our stdin any more."""
    leash, quiet = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(quiet, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    woken, wake = os.pipe()
    signal.signal(signal.SIGCHLD, lambda number, frame: os.write(wake, b"."))
    process = subprocess.Popen(["sh", os.path.join(folder, "slot"), slot], start_new_session=True)
    while process.poll() is None:
        if leash in select.select([leash, woken], [], [], 60.0)[0]:
            process.terminate()
            process.wait()


def run_slot(driver: str, folder: str, slot: int, called: str, detached: str) -> None:
    """In Ray's worker on a node: starts a guard, and waits for it."""
    host = os.uname().nodename.split(".")[0]
    os.close(os.open(os.path.join(folder, "ray", f"{slot}@{host}"), os.O_WRONLY | os.O_CREAT, 0o600))
    with subprocess.Popen(  # a parent that is gone at once: Ray ends the children of a worker that goes
        [sys.executable, "-I", "-S", "-c", detached, driver, "--guard", folder, str(slot)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "GRIST_ENGINE_ID": called},
    ) as started:  # fmt: skip
        assert started.stdin is not None
        assert started.stdout is not None
        started.wait()
        started.stdout.read()  # to the end: when the guard goes


def ended(ray: Any, slot: int, ref: Any) -> tuple[int, str, str]:
    """How a Ray task ended: slot, word, text."""
    try:
        ray.get(ref)
    except ray.exceptions.RayError as error:
        text = " ".join(str(error).split())[:300]
        if isinstance(error, ray.exceptions.NodeDiedError):
            return slot, "node", text
        if isinstance(error, ray.exceptions.OutOfMemoryError):
            return slot, "memory", text
        return slot, "ended", f"{type(error).__name__}: {text}"
    return slot, "ended", ""


def run(ray: Any, folder: str, slots: int, most: int, need: dict[str, Any]) -> None:
    """Has Ray run slots 0…slots-1, `most` of them at once; `need` is what `ray.remote` takes for each."""
    os.makedirs(os.path.join(folder, "ray"), exist_ok=True)
    over = os.open(os.path.join(folder, "ray", "over"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    job = json.loads(os.environ["RAY_JOB_CONFIG_JSON_ENV_VAR"])["metadata"]["job_submission_id"]
    task: Callable[..., Any] = ray.remote(max_retries=0, **need)(run_slot)
    driver, waiting, running = os.path.abspath(__file__), list(range(slots))[::-1], {}

    def start(count: int) -> None:
        for slot in [waiting.pop() for _ in range(min(count, len(waiting)))]:
            running[task.remote(driver, folder, slot, f"{job}/{slot}", DETACHED)] = slot  # type: ignore[attr-defined]

    start(most)
    while running:
        ray.wait(list(running))
        refs, _ = ray.wait(list(running), num_returns=len(running), timeout=0)
        lines = [ended(ray, running.pop(ref), ref) for ref in refs]
        os.write(over, "".join("{}\t{}\t{}\n".format(*line) for line in lines).encode())
        os.fsync(over)
        start(len(refs))


def main() -> None:
    """As a guard or as the job, by what it is told."""
    if sys.argv[1] == "--guard":
        return guard(*sys.argv[2:4])
    import ray  # type: ignore[import-not-found]  # of the cluster, not of ours

    ray.init(log_to_driver=False)
    return run(ray, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4]))


if __name__ == "__main__":
    main()
