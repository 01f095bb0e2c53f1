"""Tasks a second of one Python queue that was up before: PROGRAM=… queues.py QUEUE SLOTS TASKS FOLDER."""

import os
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = os.environ["PROGRAM"]  # in their workers as well, which have arguments of their own


def one(number=0):
    """What each of them runs."""
    return subprocess.run([PROGRAM], check=False).returncode


def clocked(run):
    began = time.perf_counter()
    run()
    print(tasks / (time.perf_counter() - began), flush=True)


def loky():
    from loky import get_reusable_executor

    executor = get_reusable_executor(max_workers=slots)
    list(executor.map(one, range(4 * slots)))
    clocked(lambda: list(executor.map(one, range(tasks))))


def dask():
    from distributed import Client, LocalCluster

    threads = max(1, slots // 2)
    here = {"n_workers": 2, "threads_per_worker": threads, "dashboard_address": None, "silence_logs": 50}
    with LocalCluster(**here) as cluster, Client(cluster) as client:
        client.gather(client.map(one, range(4 * slots), pure=False))
        clocked(lambda: client.gather(client.map(one, range(1000, 1000 + tasks), pure=False)))


def ray():
    import logging

    import ray as remote

    remote.init(num_cpus=slots, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False,
                _temp_dir=str(folder))
    function = remote.remote(one)
    remote.get([function.remote(number) for number in range(4 * slots)])
    clocked(lambda: remote.get([function.remote(number) for number in range(tasks)]))
    remote.shutdown()


def huey():
    Path(folder, "calls.py").write_text(f"""
import subprocess
from huey import SqliteHuey
queue = SqliteHuey(filename={str(folder / 'huey.db')!r})
@queue.task()
def one(number):
    return subprocess.run([{PROGRAM!r}]).returncode + 1
""")
    sys.path.insert(0, str(folder))
    import calls

    command = [sys.executable, "-m", "huey.bin.huey_consumer", "calls.queue", "-w", str(slots), "-k", "thread", "-q"]
    consumer = subprocess.Popen(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)})
    calls.one(0)(blocking=True, timeout=60)

    def run():
        for result in [calls.one(number) for number in range(tasks)]:
            result(blocking=True, timeout=120, backoff=1.0, max_delay=0.02)

    clocked(run)
    consumer.terminate()
    consumer.wait()


def hq():
    """Its own wait looks once a second, so the end is told by what the tasks write: PROGRAM writes a line to a file."""
    from hyperqueue import Job, LocalCluster
    from hyperqueue.cluster import WorkerConfig

    os.chdir(folder)
    stamps = Path(folder, "stamps")
    stamps.touch()
    with LocalCluster() as cluster:
        cluster.start_worker(WorkerConfig(cores=slots))
        client = cluster.client()
        first = Job()
        first.program([PROGRAM, str(stamps)])
        client.wait_for_jobs([client.submit(first)])
        line = stamps.stat().st_size

        def run():
            job = Job()
            for _ in range(tasks):
                job.program([PROGRAM, str(stamps)], stdout=None, stderr=None)
            client.submit(job)
            while stamps.stat().st_size < line * (tasks + 1):
                time.sleep(0.005)

        clocked(run)
        os._exit(0)


if __name__ == "__main__":
    slots, tasks, folder = int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    globals()[sys.argv[1]]()
