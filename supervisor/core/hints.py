"""What people write for keys that are called otherwise here."""

from __future__ import annotations

SYNONYMS: dict[str, str] = {
    "cmd": "command", "run": "command", "exec": "command", "argv": "command", "args": "command", "shell": "command",
    "script": "command", "function": "call", "func": "call", "entry_point": "call", "interpreter": "python",
    "initializer": "preload", "setup": "preload", "max_tasks_per_child": "recycle", "maxtasksperchild": "recycle",
    "gres": "resources.gpus", "gpu": "resources.gpus", "gpu_mem": "resources.gpu_memory",
    "vram": "resources.gpu_memory", "licenses": "resources.counters",
    "depends_on": "after", "dependency": "after", "afterok": "after",
    "afterany": "after_any", "afternotok": "after_failed", "begin": "start", "schedule": "start", "cron": "start",
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
