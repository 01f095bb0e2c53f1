"""A headless Chromium, driven over its debugging socket: open a page, click, type, take a picture."""

from __future__ import annotations

import asyncio
import base64
import itertools
import shutil
import struct
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

from tests.waiting import DEADLINE

NAMES = ("chromium", "chromium-browser", "google-chrome")


def installed() -> str | None:
    """The browser, None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page of it; an async context manager."""

    def __init__(self, folder: Path, width: int = 1200, height: int = 700) -> None:
        self._folder, self._size = folder, (width, height)
        self._ids = itertools.count(1)

    async def __aenter__(self) -> Browser:
        program = installed()
        assert program is not None
        options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                   "--disable-background-networking", "--disable-component-update", "--disable-sync",
                   "--disable-extensions", f"--window-size={self._size[0]},{self._size[1]}",
                   "--remote-debugging-port=0", f"--user-data-dir={self._folder}")  # fmt: skip
        self._process = await asyncio.create_subprocess_exec(
            program, *options, "about:blank", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(DEADLINE):
                while not (number := self._port()):  # noqa: ASYNC110 - another process writes it
                    await asyncio.sleep(0.05)
                self._session = aiohttp.ClientSession()
                while not (address := await self._page(number)):  # noqa: ASYNC110 - another process makes it
                    await asyncio.sleep(0.05)
                self._socket = await self._session.ws_connect(address, max_msg_size=1 << 26)
        except BaseException:
            self._process.kill()
            await self._process.wait()
            raise
        return self

    def _port(self) -> str:
        """Where it listens, "" until it has written down all of that."""
        path = self._folder / "DevToolsActivePort"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return lines[0].strip() if lines and lines[0].endswith("\n") else ""

    async def _page(self, port: str) -> str:
        """The debugging address of its page, "" until it has one."""
        async with self._session.get(f"http://127.0.0.1:{port}/json/list") as answer:
            return next((one["webSocketDebuggerUrl"] for one in await answer.json() if one["type"] == "page"), "")

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:  # fmt: skip
        await self._socket.close()
        await self._session.close()
        self._process.kill()
        await self._process.wait()

    async def _say(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._ids)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(DEADLINE):
            while True:
                answer = await self._socket.receive_json()
                if answer.get("id") == number:
                    assert "error" not in answer, answer
                    result: dict[str, Any] = answer["result"]
                    return result

    async def open(self, address: str) -> None:
        """Go there."""
        await self._say("Page.navigate", url=address)

    async def evaluate(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = await self._say("Runtime.evaluate", expression=script, returnByValue=True)
        return found["result"].get("value")

    async def until(self, script: str) -> None:
        """Wait until it is true in the page."""
        async with asyncio.timeout(DEADLINE):
            while not await self.evaluate(script):  # noqa: ASYNC110 - another process changes it
                await asyncio.sleep(0.1)

    async def click(self, x: float, y: float) -> None:
        """The left button, down and up."""
        for kind in ("mousePressed", "mouseReleased"):
            await self._say("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def press(self, text: str) -> None:
        """A key."""
        await self._say("Input.dispatchKeyEvent", type="keyDown", text=text, key=text)
        await self._say("Input.dispatchKeyEvent", type="keyUp", key=text)

    async def picture(self) -> bytes:
        """What is on the screen, as PNG."""
        found = await self._say("Page.captureScreenshot", format="png")
        data = base64.b64decode(found["data"])
        assert struct.unpack(">II", data[16:24])[0] > 100
        return data
