"""An example for each key of a job file and of the settings. A test has the program read every one of them.

Where an example of a job file names no `command` and no `call`, one is put before it to try it.
"""

from __future__ import annotations

JOBS: dict[str, dict[str, str]] = {
    "": {
        "name": 'name = "pose-cv"',
        "command": 'command = "python3 train.py --fold {fold}"   # or ["python3", "train.py", "--fold", "{fold}"]\n'
                   "grid.fold = [0, 1, 2]",
        "call": 'call = "cubes:make"            # def make(layers, batch): …\n'
                "grid = { layers = [1, 2, 3], batch = [16, 32] }",
        "preload": 'call = "cubes:make"\npreload = "cubes:load"         # def load(): …',
        "python": 'call = "cubes:make"\npython = "/usr/bin/python3"',
        "isolation": 'call = "cubes:make"\nisolation = "reuse"',
        "recycle": 'call = "cubes:make"\nisolation = "reuse"\nrecycle = 1000                 # or the table below',
        "cwd": 'cwd = "~/pose"',
        "venv": 'venv = "~/envs/torch"',
        "conda": 'conda = "torch"',
        "snapshot": 'command = "python3 {snapshot}/train.py"\nsnapshot = ["*.py", "conf/**"]',
        "env": 'env = { MODE = "fast", OMP_NUM_THREADS = 4 }',
        "stdin": 'command = "./compute"\nstdin = "{start},{count}\\n"\nitems = { total = 1000, per_task = 16 }',
        "priority": "priority = 10",
        "where": 'where = "slurm"',
        "slurm": '[slurm]\npartition = "long"\naccount = "lab"',
        "after": 'after = ["prepare", 12]',
        "after_any": 'after_any = "nightly"',
        "after_failed": 'after_failed = "train"',
        "start": 'start = "22:00"',
        "only": 'only = ["mon-fri 20:00-08:00", "weekends"]',
        "expires": 'expires = "2d"',
        "nice": "nice = 19",
        "timeout": 'timeout = "2h"',
        "grace": 'grace = "1m"',
        "on_reboot": 'on_reboot = "hold"',
        "stderr": 'stderr = "own"',
        "pty": "pty = true",
        "leftovers": 'leftovers = "wait"',
        "notify": 'notify = "mail -s sweep ann@example.org"',
        "grid": "[grid]\nlr = [0.1, 0.01]\nfold = { range = [0, 10] }",
        "items": '[items]\nfile = "cases.csv"',
        "resources": '[resources]\ncpus = 2\nmemory = "4 GiB"',
        "retry": '[retry]\nattempts = 3\non = ["timeout", "exit:75"]',
        "limits": '[limits]\nworkers = 4\nfailures = 20',
        "finally": '[finally]\ncommand = "python3 merge.py {results}"',
        "results": '[results]\nexport = "csv"',
    },
    "grid": {
        "zip": "[grid]\nzip = true                     # (1, 16), (2, 32), (3, 64)\n"
               "layers = [1, 2, 3]\nbatch = [16, 32, 64]",
        "include": "[grid]\nlayers = [1, 2]\nbatch = [16, 32]\ninclude = [{ layers = 9, batch = 8 }]",
        "exclude": "[grid]\nlayers = [1, 2]\nbatch = [16, 32]\nexclude = [{ layers = 2, batch = 32 }]",
        "range": "[grid]\nfold = { range = [0, 10] }     # 0 to 9\nrate = { range = [0, 1, 0.25] }",
    },
    "items": {
        "total": "[items]\ntotal = 10_000                 # {index} counts 0 … 9999",
        "per_task": 'command = "./compute {start} {count}"\n[items]\ntotal = 10_000\nper_task = "auto"',
        "file": 'command = "./measure {path} {threshold}"\n[items]\nfile = "cases.csv"             '
                "# its columns: path, threshold",
        "list": 'command = "./measure {item}"\n[items]\nlist = ["a.nii", "b.nii"]',
        "open": '[items]\nopen = "cancel"',
    },
    "resources": {
        "cpus": "[resources]\ncpus = 4",
        "memory": '[resources]\nmemory = "2 GiB"',
        "strict": '[resources]\nmemory = "2 GiB"\nstrict = true',
        "gpus": "[resources]\ngpus = 1",
        "gpu_memory": '[resources]\ngpus = 1\ngpu_memory = "8 GiB"',
        "counters": "[resources]\ncounters = { licenses = 1 }",
    },
    "retry": {
        "attempts": "[retry]\nattempts = 3",
        "backoff": '[retry]\nattempts = 3\nbackoff = "1m"',
        "on": '[retry]\nattempts = 3\non = ["oom", "timeout", "exit:75", "signal:9"]',
    },
    "recycle": {
        "tasks": 'call = "cubes:make"\nisolation = "reuse"\nrecycle = { tasks = 1000 }',
        "memory": 'call = "cubes:make"\nisolation = "reuse"\nrecycle = { memory = "200 MiB" }',
    },
    "limits": {
        "workers": "[limits]\nworkers = 8",
        "time": '[limits]\ntime = "8h"',
        "failures": "[limits]\nfailures = 20",
        "log": '[limits]\nlog = "64 MiB"',
    },
    "slurm": {
        "partition": '[slurm]\npartition = "long"',
        "account": '[slurm]\naccount = "lab"',
        "qos": '[slurm]\nqos = "night"',
        "time": '[slurm]\ntime = "8h"',
        "extra": '[slurm]\nextra = ["--constraint=haswell", "--exclusive"]',
        "prologue": '[slurm]\nprologue = """\nmodule load python/3.11\n"""',
    },
    "finally": {
        "command": '[finally]\ncommand = "python3 merge.py {results}"',
        "call": 'call = "cubes:make"\npreload = "cubes:load"\n[finally]\ncall = "cubes:merge"',
        "on": '[finally]\ncommand = "python3 merge.py {results}"\non = "done"',
        "timeout": '[finally]\ncommand = "python3 merge.py {results}"\ntimeout = "10m"',
    },
    "results": {"export": '[results]\nexport = "parquet"'},
    "snapshot": {
        "files": 'snapshot = { files = "git" }',
        "cwd": 'snapshot = { files = ["*.py"], cwd = true }',
    },
}
"""By table ("" for the top of the file) and key."""

SETTINGS: dict[str, str] = {
    "limit": "limit = 8",
    "polite": 'polite = ["mon-fri 08:00-20:00", "sat 09:00-13:00"]',
    "polite_share": "polite_share = 0.25",
    "nice": "nice = 15",
    "ionice": "ionice = false",
    "memory_reserve": 'memory_reserve = "4 GiB"',
    "disk_reserve": 'disk_reserve = "10 %"',
    "keep": 'keep = "30d"',
    "keep_size": 'keep_size = "5 GiB"',
    "gpus": "gpus = [0, 1]",
    "gpus_shared": "gpus_shared = true",
    "counters": "counters = { licenses = 4 }",
    "notify": 'notify = "mail -s gristmill ann@example.org"',
    "notify_on": 'notify_on = ["failed", "disk"]',
    "where": 'where = "auto"',
    "beyond": 'beyond = "slurm"',
    "beyond_after": 'beyond_after = "2h"',
    "beyond_queue": "beyond_queue = 5000",
    "shared": 'shared = "/scratch/ann/gristmill"',
    "lost_after": 'lost_after = "3m"',
    "node_python": 'node_python = "/usr/bin/python3.6"',
    "slurm": '[slurm]\npartition = "long"\nextra = ["--constraint=haswell"]',
    "ray": 'ray = "http://head.cluster:8265"',
    "ray_python": 'ray_python = "/opt/ray/bin/python"',
    "public": "public = true",
}
"""By key."""
