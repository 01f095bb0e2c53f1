"""Tasks in Ray, the real one: what it runs, loses and is told to end, while daemons, nodes and its head come and go.

Each scenario counts tries by what the tasks themselves wrote down, and gives a row: tries, lost, run twice.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gristmill.supervisor.core.remote import Need
from gristmill.supervisor.core.settings import Settings
from gristmill.supervisor.core.spec import Spec
from gristmill.supervisor.executors import BusyError, Chunk, SilentError
from gristmill.supervisor.executors.ray import Ray
from tests.engines import raylab, spaces
from tests.engines.raylab import RayLab
from tests.engines.witness import Account
from tests.mill import Mill

pytestmark = [
    pytest.mark.skipif(bool(raylab.absent()), reason=raylab.absent()),
    pytest.mark.alone,  # Ray takes a gigabyte, and both cores while it comes up
    pytest.mark.timeout(400),
]


@pytest.fixture(scope="module")
def lab() -> Iterator[RayLab]:
    """A Ray of a head and a node with two cores each."""
    with tempfile.TemporaryDirectory(prefix="ray") as base, RayLab(Path(base)) as made:
        try:
            made.up()
            made.two()
        except AssertionError as error:
            pytest.skip(f"Ray itself does not come up here: {error}")
        yield made


class RayMill(Mill):
    """A mill whose engine is the lab's Ray; what its tasks do, they write into `marks`."""

    def __init__(self, base: Path, lab: RayLab) -> None:
        super().__init__(base)
        self.lab, self.marks = lab, base / "begun"
        self.env |= {"RAY_API_SERVER_ADDRESS": lab.url, "RAY_AUTH_TOKEN": lab.token,
                     "RAY_gcs_rpc_server_reconnect_timeout_s": str(raylab.RECONNECT_S)}  # fmt: skip
        (self.jobs / ".gristmill").mkdir()
        (self.jobs / ".gristmill" / "settings.toml").write_text('lost_after = "2s"\nlimit = 1\n')

    def array(self, name: str, total: int, line: str, more: str = "") -> None:
        """Drops a job of so many tasks, each of which says that it began, and then runs a line of the shell."""
        command = f"echo $GRIST_START >> {self.marks}; {line}"
        head = f'command = {json.dumps(command)}\nwhere = "ray"\n{more}\n'
        self.drop(f"{name}.toml", f"{head}[items]\ntotal = {total}\n")

    def begun(self) -> list[int]:
        """The items that began, one for each time."""
        return [int(line) for line in self.marks.read_text().split()] if self.marks.exists() else []

    def asleep(self) -> int:
        """How many `sleep` there are in the lab that tasks started."""
        return len(self.lab.pids("sleep 471", "sleep"))

    def __enter__(self) -> RayMill:
        return self


@pytest.fixture
def mill(tmp_path: Path, lab: RayLab) -> Iterator[RayMill]:
    """A mill with its daemon running."""
    with RayMill(tmp_path, lab) as made:
        made.start()
        yield made


# ── what it runs ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_array_ends_as_its_tasks_did(mill: RayMill, account: Account) -> None:
    ends = 'case $GRIST_START in 3) exit 3;; 5) kill -9 $$;; 7) sleep 60;; esac; echo "on $GRIST_HOST: $WORD"'
    mill.array("mixed", 24, ends, 'timeout = "1.5s"\nenv = { WORD = "heard" }')
    mill.ended("mixed")
    states = {task["start"]: (task["state"], task["exit_code"], task["signal"]) for task in mill.tasks("mixed")}
    assert states[3] == ("failed", 3, None)
    assert states[5] == ("failed", None, 9)
    assert states[7][0] == "timeout"
    assert {states[item] for item in range(24) if item not in (3, 5, 7)} == {("done", 0, None)}
    stopped = next(task for task in mill.tasks("mixed") if task["start"] == 7)
    assert stopped["ended_at"] - stopped["started_at"] < 30
    assert "heard" in mill.grist("log", "mixed/0")
    assert "/0" in mill.tasks("mixed")[0]["engine_id"]
    assert mill.tasks("mixed")[0]["host"] == os.uname().nodename.split(".")[0]
    assert "2 nodes, 4 cores" in mill.grist("status")
    account("Ray: an array of mixed ends", mill, "mixed")


def test_calls_are_made_where_the_module_was_loaded_once(mill: RayMill) -> None:
    loads = mill.base / "loads"
    mill.base.joinpath("cubes.py").write_text(
        "import os\nloaded = []\n"
        f"def load():\n    loaded.append(os.getpid()); open({str(loads)!r}, 'a').write('x')\n"
        "def make(n):\n    print('cube of', n)\n    if n == 3: raise ValueError('no three')\n"
        "    return {'cube': n ** 3, 'own': loaded == [os.getpid()]}\n")  # fmt: skip
    for isolation in ("fork", "reuse"):
        mill.drop(f"{isolation}.toml", f'call = "cubes:make"\npreload = "cubes:load"\nisolation = "{isolation}"\n'
                  f'cwd = "{mill.base}"\nwhere = "ray"\n[grid]\nn = [1, 2, 3, 4]\n')  # fmt: skip
    for isolation in ("fork", "reuse"):
        mill.ended(isolation)
        rows = [json.loads(line) for line in mill.grist("results", isolation, "--json").splitlines()]
        assert [row["result"]["cube"] for row in rows] == [1, 8, 64]
        assert {row["result"]["own"] for row in rows} == {isolation == "reuse"}
        failed = next(task for task in mill.tasks(isolation) if task["state"] == "failed")
        assert failed["reason"] == "ValueError: no three"
        assert "cube of 3" in (text := mill.grist("log", failed["id"]))
        assert "no three" in text
        assert "node_call.py" not in text
    assert len(loads.read_text()) == 8  # one a slot; of tasks of which nothing is known, each has a slot of its own


# ── twice, and not at all ────────────────────────────────────────────────────────────────────────────────────────────


def _ray(lab: RayLab, **environ: str) -> Ray:
    return Ray({"RAY_API_SERVER_ADDRESS": lab.url, "RAY_AUTH_TOKEN": lab.token, **environ}, Settings)


def _chunk(folder: Path, label: str, slots: int, line: str, **need: Any) -> Chunk:
    """A chunk whose slots run a line of the shell, with no tasks in it."""
    home = folder / label
    inner = home / "1"
    inner.mkdir(parents=True)
    (inner / "slot").write_text(line)
    driver = Path(__file__).parents[2] / "supervisor" / "executors" / "raydriver.py"
    (home / driver.name).write_bytes(driver.read_bytes())
    return Chunk("1.1", label, inner, slots, Need(**need), Spec(name="x", kind="command", command="true", cwd="/"))


async def _until_over(ray: Ray, engine_id: str) -> None:
    end = time.monotonic() + spaces.DEADLINE_S
    while await ray.poll({"1.1": engine_id}):
        assert time.monotonic() < end
        await asyncio.sleep(0.2)


async def test_what_is_submitted_twice_is_run_once(lab: RayLab, tmp_path: Path, account: Account) -> None:
    ray, marks = _ray(lab), tmp_path / "marks"
    chunk = _chunk(tmp_path, "grist-twice-1.1", 6, f"echo $1 >> {marks}; sleep 0.2")
    first = await ray.submit(chunk)
    assert await ray.submit(chunk) == first == (await ray.adopt(["grist-twice-1.1", "grist-other"])).pop(chunk.label)
    await _until_over(ray, first)
    begun = marks.read_text().split()
    assert set(begun) == {str(slot) for slot in range(6)}
    await ray.poll({"2.1": "grist-twice-2.1"})  # nobody asks for the first one any more: Ray may forget it
    assert not await ray.adopt([first])
    account.row("Ray: a chunk submitted twice", len(begun), 0, len(begun) - 6)


async def test_silence_is_told_from_a_refusal(lab: RayLab, tmp_path: Path) -> None:
    with pytest.raises(SilentError, match="refuses our token"):
        await _ray(lab, RAY_AUTH_TOKEN="0" * 32).capacity()
    with pytest.raises(SilentError, match="does not answer"):
        await _ray(lab, RAY_API_SERVER_ADDRESS="http://127.0.0.1:9").poll({"1.1": "x"})
    with pytest.raises(BusyError, match=r"no node of Ray's has 99 cores \(the largest has 2\)"):
        await _ray(lab).submit(_chunk(tmp_path, "grist-wide-1.1", 1, "true", cpus=99))


# ── ended by us ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_cancel_leaves_no_child(mill: RayMill, account: Account) -> None:
    mill.array("long", 6, "setsid sleep 4711 & sleep 4712; wait")
    spaces.until(lambda: mill.asleep() == 8, "four tasks with two processes each")
    mill.running("long", 4)
    one = mill.running("long")[0]["id"]
    mill.grist("cancel", one)
    mill.until(lambda: next(t for t in mill.tasks("long") if t["id"] == one)["state"] == "canceled", "one is not ended")
    spaces.until(lambda: len(mill.begun()) == 5, "a task in its place")
    mill.grist("cancel", "long")
    assert mill.ended("long")["state"] == "canceled"
    spaces.until(lambda: not mill.asleep(), "end of what tasks started")
    assert {task["state"] for task in mill.tasks("long")} == {"canceled"}
    begun = mill.begun()
    account.row("Ray: one task canceled, then the job", len(begun), 0, len(begun) - len(set(begun)))


async def test_slots_of_a_job_that_is_stopped_are_told(lab: RayLab, tmp_path: Path) -> None:
    ray, begun, told = _ray(lab), tmp_path / "begun", tmp_path / "told"
    line = f"trap 'echo $1 >> {told}; exit' TERM; echo $1 >> {begun}; while :; do sleep 0.1; done"
    name = await ray.submit(_chunk(tmp_path, "grist-stopped-1.1", 6, line))
    _until_lines(begun, 4)
    assert await ray.cancel(name, None)
    _until_lines(told, 4)
    await _until_over(ray, name)
    assert sorted(told.read_text().split()) == sorted(begun.read_text().split())
    assert (await ray.explain(name, [5]))[5].words == "its Ray job was stopped"


def _until_lines(path: Path, count: int) -> None:
    spaces.until(lambda: path.exists() and len(path.read_text().split()) >= count, f"{count} lines in {path.name}")


# ── who goes away meanwhile ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_daemon_that_was_killed_finds_its_tasks_again(mill: RayMill, account: Account) -> None:
    mill.array("adopted", 12, "sleep 1; echo $GRIST_START > $GRIST_RESULT")
    mill.running("adopted", 2)
    mill.kill(signal.SIGKILL)
    spaces.until(lambda: len(mill.begun()) >= 8, "tasks that go on without a daemon")
    mill.start()
    assert mill.ended("adopted")["state"] == "done"
    rows = [json.loads(line) for line in mill.grist("results", "adopted", "--json").splitlines()]
    assert sorted(row["result"] for row in rows) == list(range(12))
    account("Ray: the daemon killed", mill, "adopted")


RETRIED = 'retry = { attempts = 3, backoff = "0s", on = ["lost"] }'


def _waiting(mill: RayMill, name: str) -> Path:
    """Has four tasks run that wait for a file: two on the head, two on the node; that file."""
    mill.lab.two()
    gate = mill.base / "gate"
    mill.array(name, 4, f"while ! test -e {gate}; do sleep 0.1; done", RETRIED)
    mill.running(name, 4)
    spaces.until(lambda: len(mill.begun()) == 4, "four tasks that have begun")
    return gate


def test_silence_changes_nothing_and_tasks_of_a_lost_head_wait_for_another(mill: RayMill, account: Account) -> None:
    gate = _waiting(mill, "head")
    mill.lab.kill("head")
    mill.until(lambda: "does not answer" in mill.grist("status"), "nobody says that the engine is silent")
    assert {task["state"] for task in mill.tasks("head")} == {"running"}
    spaces.until(lambda: not mill.lab.pids("gate"), "end of tasks on a node whose head is gone")
    gate.touch()
    mill.lab.head()
    mill.lab.node()
    assert mill.ended("head")["state"] == "done"
    account("Ray: the head killed for good, another comes", mill, "head", again=4)


def test_tasks_of_a_lost_node_go_elsewhere(mill: RayMill, account: Account) -> None:
    gate = _waiting(mill, "node")
    mill.lab.kill("node")
    gate.touch()
    assert mill.ended("node")["state"] == "done"
    account("Ray: a node killed for good, with retry.on = lost", mill, "node", again=2)


def test_all_of_it_works_for_an_ordinary_user(tmp_path: Path, account: Account) -> None:
    if os.getuid():
        pytest.skip("all tests here run as an ordinary user already")
    if why := spaces.no_user():
        pytest.skip(why)
    with tempfile.TemporaryDirectory(prefix="ray") as base, RayLab(Path(base), become=spaces.AS_NOBODY) as lab:
        try:
            lab.up()
        except AssertionError as error:
            pytest.skip(f"Ray itself does not come up here: {error}")
        with RayMill(tmp_path, lab) as mill:
            mill.start()
            mill.array("own", 6, "id -u; exit $(( GRIST_START % 3 == 2 ))")
            mill.ended("own")
            assert [task["exit_code"] for task in mill.tasks("own")] == [0, 0, 1, 0, 0, 1]
            assert mill.grist("log", "own/0") == "65534\n"
            account("Ray: run by an ordinary user", mill, "own")
