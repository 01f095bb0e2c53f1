"""The screens in a browser: textual-serve on 127.0.0.1, behind a token.

Owns who gets in. The address that is printed holds the token; whoever comes with it gets a cookie and an address
without it. A page of another origin gets nothing, by whatever name it reaches us; ours asks nobody else for anything.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp_jinja2
from aiohttp import web
from textual_serve.server import Server, to_int

COOKIE = "grist"
OURS = frozenset({"127.0.0.1", "localhost"})
"""Names by which a browser may reach us; the port is the user's, who may have forwarded another."""
HOST = "127.0.0.1"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Site(Server):
    """Serves the program `command`, one run of it a browser tab."""

    def __init__(self, command: str, port: int, title: str, token: str | None = None) -> None:
        super().__init__(command, host=HOST, port=port, title=title, templates_path=Path(__file__).parent / "site")
        self.token = token or secrets.token_urlsafe(24)

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
