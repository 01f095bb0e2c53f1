"""A throw-away Ray: a head and nodes, each of which runs tasks, in a network namespace of their own with loopback only.

Ray takes 127.0.0.1 for "the address of this machine", so that a test beside others would be open to the network; in a
namespace there is no other address. What asks from outside goes by a relay: the test listens, and a process inside
passes on. `absent()` says why it can't be.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.engines import spaces
from tests.engines.spaces import Space

GCS_PORT, DASHBOARD_PORT = 6379, 8265
RECONNECT_S = 3
"""A node that has lost its head goes on for so long."""

RELAY = """
import asyncio, socket, sys
async def pump(a, b):
    try:
        while data := await a.read(65536):
            b.write(data)
            await b.drain()
    except OSError:
        pass
    finally:
        b.close()
async def serve(a, b):
    try:
        c, d = await asyncio.open_connection("127.0.0.1", int(sys.argv[2]))
    except OSError:
        return b.close()
    await asyncio.gather(pump(a, d), pump(c, b))
async def main():
    server = await asyncio.start_server(serve, sock=socket.socket(fileno=int(sys.argv[1])))
    await server.serve_forever()
asyncio.run(main())
"""


def found() -> str | None:
    """The `ray` command: `GRIST_RAY`, that of `.venv-ray` in this checkout, or the one on the path."""
    own = Path(__file__).parents[2] / ".venv-ray" / "bin" / "ray"
    return os.environ.get("GRIST_RAY") or (str(own) if own.exists() else shutil.which("ray"))


def absent() -> str:
    """Why there can be no Ray here, or nothing."""
    if found() is None:
        return "ray is not installed (python -m venv .venv-ray && .venv-ray/bin/pip install 'ray[default]')"
    return spaces.absent()


class RayLab:
    """One Ray, from `up()` to the end of the `with`."""

    def __init__(self, base: Path, cpus: int = 2, become: Sequence[str] = ()) -> None:
        """`become` is put before Ray's commands to have somebody else run them."""
        self.base, self.cpus = base, cpus  # a short path: Ray's sockets lie in it
        self._become = become
        self.token = secrets.token_hex(16)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._space = Space("ip link set lo up", "net")
        self.pids = self._space.pids

    def __enter__(self) -> RayLab:
        return self

    def __exit__(self, *_: object) -> None:
        self._space.close()
        self._listener.close()

    # ── up and down ───────────────────────────────────────────────────────────────────────────────────────────

    def up(self) -> None:
        """A head, and whoever asks for it."""
        told = self._listener.fileno()
        self._start("relay", sys.executable, "-c", RELAY, str(told), str(DASHBOARD_PORT), pass_fds=(told,))
        self.head()

    def head(self) -> None:
        """Starts the head; waits until it answers."""
        self._ray(
            "head", "--head", f"--port={GCS_PORT}", f"--temp-dir={self.base}", "--node-ip-address=127.0.0.1",
            "--dashboard-host=127.0.0.1", f"--dashboard-port={DASHBOARD_PORT}", "--disable-usage-stats",
        )  # fmt: skip
        spaces.until(lambda: self.nodes() >= 1, "head", self._said)

    def node(self) -> None:
        """Starts a node, which takes a few seconds to join. One at a time: two on one host may wait for each other."""
        self._ray("node", f"--address=127.0.0.1:{GCS_PORT}")

    def two(self) -> None:
        """Has the head and a node."""
        if self.nodes() < 2:
            self.node()
        spaces.until(lambda: self.nodes() == 2, "node beside the head", self._said)

    def _ray(self, name: str, *options: str) -> None:
        ray = found()
        assert ray is not None
        common = ("start", "--block", f"--num-cpus={self.cpus}", "--object-store-memory=80000000")
        self._start(name, *self._become, ray, *common, *options)

    def _start(self, name: str, *command: str, pass_fds: tuple[int, ...] = ()) -> None:
        env = {
            **os.environ, "HOME": str(self.base), "GRIST_LAB": name,
            "PATH": f"{Path(found() or '').parent}:{os.environ['PATH']}",
            "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token,
            "RAY_health_check_period_ms": "1000", "RAY_health_check_failure_threshold": "10",
            "RAY_raylet_start_wait_time_s": "90", "RAY_gcs_rpc_server_reconnect_timeout_s": str(RECONNECT_S),
        }  # fmt: skip
        self._space.start(*command, out=self.base / f"{name}.out", env=env, pass_fds=pass_fds, cwd=self.base)

    def kill(self, name: str) -> None:
        """The power of the `head` or the `node` goes: all that runs on it ends at once."""
        self._space.end(lambda pid: f"GRIST_LAB={name}" in _environment(pid))

    # ── asking ────────────────────────────────────────────────────────────────────────────────────────────────

    def nodes(self) -> int:
        """How many nodes are alive, the head among them; 0 while it does not answer."""
        request = urllib.request.Request(f"{self.url}/api/v0/nodes", headers={"Authorization": f"Bearer {self.token}"})
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.read().count(b'"ALIVE"'))
        return 0

    def _said(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        for path in sorted(self.base.glob("*.out")):
            yield f"{path.name}: {path.read_text(errors='replace')[-2000:]}"


def _environment(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
