"""What a task of these benchmarks does: so many steps of computing and waiting, with memory that grows from step to
step. Each finished step goes onto a tape that all tasks share. Runs by path, without site-packages."""

import mmap
import os
import sys
import time

PIECE = 1 << 22


def main() -> None:
    """`work.py TAPE KIND STEPS LOOPS WAIT_S FIRST_MB LAST_MB`"""
    tape_path, kind = sys.argv[1:3]
    steps, loops, wait, first, last = (float(word) for word in sys.argv[3:8])
    if last:  # should the kernel have to choose, it shall be one of these
        with open("/proc/self/oom_score_adj", "w") as score:
            score.write("1000")
    memory = mmap.mmap(-1, max(PIECE, int(last) << 20))
    tape = os.open(tape_path, os.O_WRONLY | os.O_APPEND)
    name = f"{os.getpid()}.{os.urandom(3).hex()}"
    filled, piece = 0, b"\1" * PIECE
    for step in range(int(steps) + 1):
        os.write(tape, f"{time.monotonic():.3f} {name} {kind} {step} {int(steps)}\n".encode())
        if step == int(steps):
            return
        for _ in range(int(loops)):
            pass
        wanted = int(first + (last - first) * (step + 1) / steps) << 20
        while filled + PIECE <= wanted:
            memory[filled : filled + PIECE] = piece
            filled += PIECE
        time.sleep(wait)


main()
