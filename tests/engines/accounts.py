"""The accounting of a test's Slurm: slurmdbd, and below it a MariaDB of its own on a socket in the cluster's folder.

Owns their configuration and how they are started; `cluster` starts and ends them with its other daemons. The database
asks nobody who he is, and can be reached by nothing but its socket, which only this user may open.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

TABLES = [Path("/usr/share/mysql/mysql_system_tables.sql"), Path("/usr/share/mariadb/mariadb_system_tables.sql")]
"""What a database needs of its own before it keeps procedures, which slurmdbd does; where Debian has it."""
NONE = "AccountingStorageType=accounting_storage/none"
SOME = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStoragePass={base}/munge/munge.socket"""
CONF = """\
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser={user}
AuthType=auth/munge
AuthInfo=socket={base}/munge/munge.socket
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser={user}
StorageLoc=accounts
PidFile={base}/run/slurmdbd.pid
LogFile={base}/log/slurmdbd.log
"""


def missing() -> str:
    """What is not installed that accounting needs, "" for nothing."""
    path = "/usr/sbin:/usr/bin:/sbin:/bin"
    gone = [name for name in ("slurmdbd", "mariadbd") if shutil.which(name, path=path) is None]
    if not any(path.exists() for path in TABLES):
        gone.append(TABLES[0].name)
    return f"not installed: {', '.join(gone)} (apt-get install slurmdbd mariadb-server-core)" if gone else ""


def prepare(base: Path, port: int, user: str) -> str:
    """Writes the configuration of slurmdbd, which listens at `port`, and makes the database; what belongs into
    slurm.conf."""
    conf, host = base / "slurmdbd.conf", socket.gethostname().split(".")[0]
    conf.touch(0o600)
    conf.write_text(CONF.format(base=base, host=host, port=port, user=user))
    (base / "db" / "mysql").mkdir(parents=True, mode=0o700)
    tables = f"use mysql;\n{next(path for path in TABLES if path.exists()).read_text()}"
    subprocess.run([*database(base, user), "--bootstrap"], input=tables, text=True, check=True, capture_output=True)
    return SOME.format(port=port, base=base)


def database(base: Path, user: str) -> list[str]:
    """What starts the database."""
    return [
        "/usr/sbin/mariadbd", "--no-defaults", f"--datadir={base}/db", f"--socket={socket_of(base)}", f"--user={user}",
        "--skip-networking", "--skip-grant-tables", "--skip-log-bin", f"--pid-file={base}/run/db.pid",
        "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=4M", "--innodb-flush-log-at-trx-commit=0",
        "--innodb-use-native-aio=0",  # which containers often refuse
    ]  # fmt: skip


def socket_of(base: Path) -> Path:
    """Where the database listens; libmariadb looks for it in MARIADB_UNIX_PORT."""
    return base / "db" / "socket"
