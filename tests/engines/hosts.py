"""A few machines on one: each with a network, a host name, and folders for Slurm and munge of its own; one switch.

They stand for machines that are reached by ssh and see one shared folder, which is all of this one's disk. A small
Slurm is set up on them as `docs/clusters.md` says, from the configuration that is printed there.

    python -m tests.engines.hosts BASE head n1 n2      # until Ctrl-C; prints how to get a shell on each
"""

from __future__ import annotations

import os
import re
import select
import shutil
import sys
from pathlib import Path

from tests.engines import spaces
from tests.engines.spaces import Space

DOCS = Path(__file__).parents[2] / "docs" / "clusters.md"
OWN = ("/run", "/etc/munge", "/etc/slurm", "/var/lib/munge", "/var/log/munge", "/var/lib/slurm", "/var/log/slurm")
"""Folders that each machine has for itself, where Debian's packages look."""


def absent() -> str:
    """Why there can be none here, or nothing."""
    if os.geteuid() != 0:
        return "only root has such machines: Slurm sets groups, which is nobody else's in a namespace"
    if missing := [tool for tool in ("munged", "slurmctld", "slurmd") if shutil.which(tool, path=spaces.PATH) is None]:
        return f"{missing[0]} is not installed (apt-get install slurm-wlm munge)"
    return spaces.absent()


def printed() -> str:
    """The slurm.conf that the documentation prints."""
    found = re.search(r"```conf\n(# /etc/slurm/slurm\.conf.*?)```", DOCS.read_text(), re.DOTALL)
    assert found, "docs/clusters.md prints no slurm.conf"
    return found[1]


def fitted(conf: str) -> str:
    """The same for machines that are none: as large as they say, whatever this one is."""
    return conf + "SlurmdParameters=config_overrides\n"


class Hosts:
    """Machines by their names, the first of which is the head, at 10.77.0.1 and so on."""

    def __init__(self, base: Path, *names: str) -> None:
        self.base = base
        base.joinpath("hosts").write_text("127.0.0.1 localhost\n" + "".join(
            f"10.77.0.{number} {name}\n" for number, name in enumerate(names, 1)))
        self._switch = Space("ip link add switch type bridge && ip link set switch up", "net")
        self.spaces: dict[str, Space] = {}
        for number, name in enumerate(names, 1):
            self.spaces[name] = self._plugged(name, f"10.77.0.{number}")

    def __enter__(self) -> Hosts:
        return self

    def __exit__(self, *_: object) -> None:
        for space in (*self.spaces.values(), self._switch):
            space.close()

    def _plugged(self, name: str, address: str) -> Space:
        own = "\n".join(f"test ! -d {path} || mount -t tmpfs -o mode=755 tmpfs {path}" for path in OWN)
        space = Space(
            f"hostname {name}\nip link set lo up\n{own}\nmount --bind {self.base}/hosts /etc/hosts",
            "net", "uts", "mount", inside=self._switch,
        )  # fmt: skip
        self._do(self._switch, f"ip link add to-{name} type veth peer name eth0 netns {space.holder.pid}")
        self._do(self._switch, f"ip link set to-{name} master switch up")
        self._do(space, f"ip addr add {address}/24 dev eth0 && ip link set eth0 up")
        return space

    def _do(self, space: Space, line: str) -> str:
        done = space.run("sh", "-euc", line)
        assert done.returncode == 0, f"{line}: {done.stderr}"
        return done.stdout

    def on(self, name: str, line: str) -> str:
        """What a line of the shell prints on a machine, where it must succeed."""
        return self._do(self.spaces[name], line)

    # ── Slurm ─────────────────────────────────────────────────────────────────────────────────────────────────

    def slurm(self, conf: str) -> None:
        """Puts key and configuration on all machines, and starts what runs there."""
        key = self.base / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        self.base.joinpath("slurm.conf").write_text(conf)
        head, *nodes = self.spaces
        for name in self.spaces:
            self.on(name, f"""
                cp {self.base}/slurm.conf /etc/slurm/
                cp -p {key} /etc/munge/munge.key
                chmod 700 /etc/munge
                chmod 711 /var/lib/munge
                mkdir -p /run/munge /var/lib/slurm/slurmctld /var/lib/slurm/slurmd
                {"chown -R slurm /var/lib/slurm /var/log/slurm" if "SlurmUser=slurm" in conf else ""}
            """)
            self._start(name, "munged", "--foreground", "--force")
            self.on(name, "until test -S /run/munge/munge.socket.2; do sleep 0.05; done")
        self._start(head, "slurmctld", "-D")
        for name in nodes:
            self._start(name, "slurmd", "-D")
        spaces.until(lambda: self.idle() == nodes, "idle nodes", self._said)

    def idle(self) -> list[str]:
        """The nodes that are up and have nothing to do."""
        head = next(iter(self.spaces))
        return sorted(self.spaces[head].run("sinfo", "-h", "-N", "-t", "idle", "-o", "%N").stdout.split())

    def _start(self, name: str, program: str, *words: str) -> None:
        self.spaces[name].start(
            program, *words, out=self.base / f"{name}.{program}.out", env={**os.environ, "PATH": spaces.PATH}
        )

    def _said(self) -> str:
        return "\n".join(f"{path.name}: {path.read_text(errors='replace')[-1500:]}" for path in self.base.glob("*.out"))


if __name__ == "__main__":
    folder, *machines = sys.argv[1:]
    Path(folder).mkdir(exist_ok=True)
    with Hosts(Path(folder).resolve(), *machines) as made:
        made.slurm(fitted(printed()))
        for machine, room in made.spaces.items():
            print(f"{machine}: {' '.join(room.entering('bash'))}", flush=True)
        try:
            select.select([], [], [])
        except KeyboardInterrupt:
            pass
