"""A notifier gets its JSON, is bounded in time and in what it may say, and its fault is one line."""

from __future__ import annotations

import http.server
import json
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from gristmill.supervisor.edge import courier
from gristmill.supervisor.edge.courier import Errand
from gristmill.supervisor.notifier import shown
from tests.processes import alive
from tests.waiting import until


def run(tmp_path: Path, script: str, seconds: float = 30.0, data: bytes = b'{"a": 1}\n') -> str:
    return Errand(["/bin/sh", "-c", script], data, tmp_path, seconds).run()


def test_a_notifier_reads_the_message_on_its_input(tmp_path: Path) -> None:
    assert run(tmp_path, "cat > got; echo noise; echo noise >&2") == ""
    assert (tmp_path / "got").read_bytes() == b'{"a": 1}\n'


def test_one_that_does_not_read_a_large_message_is_no_fault(tmp_path: Path) -> None:
    assert run(tmp_path, "exit 0", data=b"x" * 5_000_000) == ""


def test_why_it_failed_is_one_line_with_its_last_words(tmp_path: Path) -> None:
    assert run(tmp_path, "echo one >&2; echo 'no such user' >&2; exit 67") == "exited with 67: no such user"
    assert run(tmp_path, "kill -9 $$") == "ended by signal 9"
    assert "No such file" in Errand(["/nowhere/at/all"], b"{}", tmp_path, 5.0).run()


def test_one_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    for seconds in (1, 10, 100):  # it may take longer than a second to begin, on a busy machine
        said = run(tmp_path, "sleep 1000 & echo $! > part; mv part pid; sleep 1000", seconds)
        assert said == f"took longer than {seconds} s and was ended"
        if (tmp_path / "pid").exists():
            break
    child = int((tmp_path / "pid").read_text())
    until(lambda: not alive(child), "what it started lives on")


def test_it_can_be_ended_at_any_time_by_another_thread(tmp_path: Path) -> None:
    errand = Errand(["sleep", "1000"], b"", tmp_path, 1000.0)
    threading.Timer(0.3, errand.end).start()
    assert "was ended" in errand.run()
    early = Errand(["sleep", "1000"], b"", tmp_path, 1000.0)
    early.end()
    assert "was ended" in early.run()
    early.end()  # of one that is over: the daemon stops in the very moment


def test_what_it_leaves_running_is_not_waited_for(tmp_path: Path) -> None:
    assert run(tmp_path, "while ! test -e go; do sleep 0.05; done & exit 0") == ""
    (tmp_path / "go").touch()


def test_one_that_talks_without_end_is_not_listened_to_for_ever(tmp_path: Path) -> None:
    fault = run(tmp_path, "exec yes >&2")
    assert fault.startswith(("ended by signal 13", "exited with 1"))


def test_apprise_delivers_where_it_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("apprise")
    got: list[dict[str, Any]] = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        message = {"text": "job 3 (sweep) done", "topic": "done", "apprise": f"json://127.0.0.1:{server.server_port}/"}
        assert Errand(courier.by_apprise(), json.dumps(message).encode(), tmp_path, 60.0).run() == ""
    assert got[0]["title"] == "gristmill: job 3 (sweep) done"
    assert got[0]["message"] == "topic: done"


def test_without_apprise_the_mend_is_said(tmp_path: Path) -> None:
    script = f"{sys.executable} -I -S {courier.APPRISE}"
    assert "pip install 'gristmill[apprise]'" in run(tmp_path, script, data=b'{"apprise": "x"}')


@pytest.mark.parametrize(("command", "called"), [
    ("mail -s x ann", "mail …"), ("mail", "mail"), (("notify", "--me"), "notify …"), (("a", "b"), "a …"),
    (("notify",), "notify"), ("apprise:ntfy://topic", "apprise:ntfy:…"),
])
def test_a_notifier_is_called_by_its_first_word(command: str | tuple[str, ...], called: str) -> None:
    assert shown(command) == called
