"""The screens in a browser: textual-serve on 127.0.0.1, behind a token.

Owns who gets in. The address that is printed holds the token; whoever comes with it gets a cookie and an address
without it. A page of another origin gets nothing, by whatever name it reaches us; ours asks nobody else for anything.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp_jinja2
from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.server import Server, to_int

COOKIE = "grist"
OURS = frozenset({"127.0.0.1", "localhost"})
"""Names by which a browser may reach us; the port is the user's, who may have forwarded another."""
HOST = "127.0.0.1"
GRACE_S = 5.0
"""How long a program whose tab is closed may take to leave."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Program(AppService):
    """The screens of one tab; it is gone when `stop` returns, also where it hears nothing any more."""

    grace_s = GRACE_S

    async def stop(self) -> None:
        """Ask it to leave, and see to it that it does."""
        process = self._process
        if process is None:
            return
        try:
            async with asyncio.timeout(self.grace_s):
                await self.send_meta({"type": "quit"})
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        await super().stop()


class Site(Server):
    """Serves the program `command`, one run of it a browser tab."""

    def __init__(self, command: str, port: int, title: str, token: str | None = None) -> None:
        super().__init__(command, host=HOST, port=port, title=title, templates_path=Path(__file__).parent / "site")
        self.token = token or secrets.token_urlsafe(24)
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """What to open."""
        return f"http://{HOST}:{self.port}/?token={self.token}"

    def initialize_logging(self) -> None:
        """The log of requests is nobody's: addresses have tokens in them."""

    async def on_startup(self, app: web.Application) -> None:
        """Say where it is, once it can be opened."""
        print(self.address)
        print(f"From elsewhere: ssh -L {self.port}:{HOST}:{self.port} this-machine, then open the same address.")
        print("Ctrl-C ends it; the daemon keeps running.", flush=True)

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._admit)
        app.on_cleanup.append(self._see_off)
        return app

    @web.middleware
    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Lets in who has the token, from a page of our own."""
        origin = request.headers.get("Origin")
        if _name(f"//{request.host}") not in OURS or (origin is not None and urlsplit(origin).netloc != request.host):
            raise web.HTTPForbidden(text="This is reached as 127.0.0.1 or localhost, and from its own page alone.\n")
        if self._is_token(request.query.get("token", "")) and request.path == "/":
            found = web.HTTPSeeOther("/")
            found.set_cookie(COOKIE, self.token, httponly=True, samesite="Strict", path="/")
            raise found
        if not self._is_token(request.cookies.get(COOKIE, "")):
            raise web.HTTPForbidden(text="Open the address that `grist web` printed: it holds the token.\n")
        return await handler(request)

    def _is_token(self, said: str) -> bool:
        return secrets.compare_digest(said.encode(), self.token.encode())

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """One tab, one program: it comes and goes with the socket."""
        socket = web.WebSocketResponse(heartbeat=15)
        await socket.prepare(request)

        async def close() -> None:
            await socket.close()

        program = Program(
            self.command, write_bytes=socket.send_bytes, write_str=socket.send_str, close=close,
            download_manager=self.download_manager,
        )  # fmt: skip
        width, height = (to_int(request.query.get(*one), int(one[1])) for one in (("width", "80"), ("height", "24")))
        try:
            await program.start(width, height)
            await self._process_messages(socket, program)
        finally:  # also where aiohttp cancels this, as it does when it shuts down
            leaving = asyncio.create_task(program.stop(), name="the program of a closed tab leaves")
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
            await asyncio.shield(leaving)
        return socket

    async def _see_off(self, app: web.Application) -> None:
        """Leave after all programs."""
        await asyncio.gather(*self._leaving)

    async def handle_index(self, request: web.Request) -> web.StreamResponse:
        """The page, which may load nothing from elsewhere."""
        nonce = secrets.token_urlsafe(16)
        context: dict[str, Any] = {
            "application": {"name": self.title}, "nonce": nonce,
            "font_size": to_int(request.query.get("fontsize", "15"), 15),
        }
        response = aiohttp_jinja2.render_template("app_index.html", request, context)
        response.headers["Content-Security-Policy"] = (
            f"default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; "
            "connect-src 'self'; img-src 'self' data:; font-src 'self' data:; frame-ancestors 'none'; "
            "form-action 'none'"
        )
        response.headers.update({"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"})
        return response


def _name(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def run(command: str, port: int, title: str) -> int:
    """Serve until it is interrupted."""
    Site(command, port, title).serve()
    return 0
