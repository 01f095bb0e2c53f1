"""The screens in a browser: who gets in, and what a real browser shows."""

from __future__ import annotations

import asyncio
import shlex
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

pytest.importorskip("textual_serve")
from aiohttp import ClientSession, CookieJar, WSServerHandshakeError
from aiohttp.test_utils import TestServer
from aiohttp.web import AppRunner, SockSite

from gristmill.supervisor.cli import main
from gristmill.tui.web import Program, Site
from tests.waiting import DEADLINE

from .browser import Browser, installed
from .scene import fill
from .stage import Daemon
from .terminal import PROGRAM


@asynccontextmanager
async def served(command: str = "true") -> AsyncIterator[tuple[Site, TestServer, ClientSession]]:
    site = Site(command, 0, "grist <b>")
    server = TestServer(await site._make_app(), host="127.0.0.1")
    await server.start_server()
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        yield site, server, session
    await server.close()


async def test_only_the_token_gets_in_and_is_taken_out_of_the_address() -> None:
    async with served() as (site, server, session):
        for address in ("/", "/?token=wrong", "/ws", "/static/js/textual.js", f"/ws?token={site.token}"):
            async with session.get(server.make_url(address)) as answer:
                assert answer.status == 403, address
                assert site.token not in await answer.text()
        async with session.get(server.make_url(f"/?token={site.token}"), allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/")
            cookie = answer.headers["Set-Cookie"]
            assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
        async with session.get(server.make_url("/")) as answer:
            page = await answer.text()
            assert answer.status == 200
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "https://" not in page and "grist &lt;b&gt;" in page, "nothing is asked of elsewhere, names are text"
        async with session.get(server.make_url("/static/js/textual.js")) as answer:
            assert answer.status == 200


@pytest.mark.parametrize("headers", [
    {"Host": "evil.example"}, {"Host": "evil.example:8765"}, {"Host": "[::"}, {"Origin": "http://evil.example"},
    {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"},
], ids=str)  # fmt: skip
async def test_another_page_gets_nothing_even_with_the_cookie(headers: dict[str, str]) -> None:
    async with served() as (site, server, session):
        cookies = {"grist": site.token}
        async with session.get(server.make_url("/"), headers=headers, cookies=cookies) as answer:
            assert answer.status == 403
        with pytest.raises(WSServerHandshakeError):
            await session.ws_connect(server.make_url("/ws"), headers=headers)


DEAF = """
import os, pathlib, sys, time
print("__GANGLION__", flush=True)
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
time.sleep(600)
"""


async def test_a_program_that_hears_nothing_is_gone_with_its_tab(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Program, "grace_s", 0.2)
    pid = tmp_path / "pid"
    async with served("exec " + shlex.join([sys.executable, "-c", DEAF, str(pid)])) as (site, server, session):
        async with session.ws_connect(server.make_url("/ws"), headers={"Cookie": f"grist={site.token}"}):
            await _until(lambda: pid.exists() and pid.read_text(), "it runs")
        await _until(lambda: not Path(f"/proc/{pid.read_text()}").exists(), "it has gone")


def test_it_listens_on_this_machine_alone_and_each_run_has_its_own_token() -> None:
    one, other = Site("true", 8765, "x"), Site("true", 8765, "x")
    assert one.host == "127.0.0.1"
    assert one.token != other.token and len(one.token) >= 32
    assert one.address == f"http://127.0.0.1:8765/?token={one.token}"


@pytest.mark.skipif(installed() is None, reason="no Chromium here")
async def test_in_a_real_browser_a_click_chooses_a_job(daemon: Daemon, tmp_path: Path) -> None:
    fill(daemon, tmp_path)
    command = "exec " + shlex.join([sys.executable, "-c", PROGRAM, str(daemon.path), "/home/me/jobs", "{}"])
    listener = socket.create_server(("127.0.0.1", 0))
    site = Site(command, listener.getsockname()[1], "grist")
    runner = AppRunner(await site._make_app())
    await runner.setup()
    await SockSite(runner, listener).start()
    try:
        async with Browser(tmp_path / "profile") as browser:
            await browser.open(site.address)
            await browser.until("document.body.classList.contains('-first-byte')")
            assert await browser.evaluate("location.search") == ""
            before = await browser.picture()
            await _until(lambda: daemon.subscriptions, "the screens are fed")
            await _until(lambda: daemon.ops("log"), "the preview has asked for a log")
            size = await browser.evaluate("[innerWidth, innerHeight]")
            seen = len(daemon.asked)
            for part in (0.62, 0.66, 0.7, 0.74):  # somewhere among the jobs, whatever the size of the letters
                await browser.click(size[0] * 0.1, size[1] * part)
            await _until(lambda: len(daemon.asked) > seen, "the click has chosen another job")
            await browser.press("?")
            async with asyncio.timeout(DEADLINE):  # until the help is there: what is drawn first may be little
                while (after := await browser.picture()) == before or len(after) <= 5000:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
    finally:
        await runner.cleanup()


async def _until(condition: object, what: str) -> None:
    assert callable(condition)
    end = asyncio.get_running_loop().time() + DEADLINE
    while not condition():
        assert asyncio.get_running_loop().time() < end, what
        await asyncio.sleep(0.05)


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "gristmill.tui.web", raising=False)
    monkeypatch.setitem(sys.modules, "textual_serve.server", None)
    (tmp_path / "jobs").mkdir()
    assert main(["web", "--jobs", str(tmp_path / "jobs"), "--state", str(tmp_path / "state")]) == 2
    assert "pip install 'gristmill[web]'" in capsys.readouterr().err
