"""What people write for keys that are called otherwise here, and keys that are still to come."""

from __future__ import annotations

LATER: dict[tuple[str, ...], str] = {
    ("resources", "gpus"): "remove it and let the task choose its card, with [limits] workers = the number of cards",
    ("resources", "gpu_memory"): "remove it and let [limits] workers bound how many tasks share the cards",
}
"""Keys of the design that this version does not know yet, each with what to do instead."""

SYNONYMS: dict[str, str] = {
    "cmd": "command", "run": "command", "exec": "command", "argv": "command", "args": "command", "shell": "command",
    "script": "command", "function": "call", "func": "call", "entry_point": "call", "interpreter": "python",
    "initializer": "preload", "setup": "preload", "max_tasks_per_child": "recycle", "maxtasksperchild": "recycle",
    "title": "name", "job_name": "name", "workdir": "cwd", "working_dir": "cwd",
    "working_directory": "cwd", "dir": "cwd", "directory": "cwd", "folder": "cwd", "chdir": "cwd",
    "environment": "env", "vars": "env", "virtualenv": "venv", "conda_env": "conda", "input": "stdin",
    "time": "timeout", "walltime": "timeout", "time_limit": "timeout", "matrix": "grid", "params": "grid",
    "parameters": "grid", "sweep": "grid", "array": "items.total", "count": "items.total", "n": "items.total",
    "chunk": "items.per_task", "chunksize": "items.per_task", "batch_size": "items.per_task", "csv": "items.file",
    "ram": "resources.memory", "mem": "resources.memory", "cores": "resources.cpus", "cpu": "resources.cpus",
    "threads": "resources.cpus", "ncpus": "resources.cpus", "retries": "retry.attempts",
    "tries": "retry.attempts", "max_retries": "retry.attempts", "jobs": "limits.workers", "parallel": "limits.workers",
    "concurrency": "limits.workers", "max_workers": "limits.workers",
}  # fmt: skip
"""What other tools call our keys."""
