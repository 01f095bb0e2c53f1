"""The palette of commands: what the table names, found by typing; `limit N` and `add COMMAND` beside."""

from __future__ import annotations

import re
from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider

from gristmill.supervisor.core.figures import several
from gristmill.supervisor.core.sanitise import safe
from gristmill.tui.commands import Command, commands_in
from gristmill.tui.screens.base import MillScreen


class TableProvider(Provider):
    """Offers the commands that hold on the screen below."""

    def _offered(self) -> list[tuple[Command, str]]:
        screen = self.screen
        if not isinstance(screen, MillScreen):
            return []
        commands = commands_in(*screen.ROOMS, "all", read_only=screen.mill_app.read_only)
        return [(command, f"{command.label}  {command.shown}".rstrip()) for command in commands if command.palette]

    async def discover(self) -> Hits:
        """All of them, while nothing is typed."""
        for command, text in self._offered():
            yield DiscoveryHit(text, partial(self._run, command), help=command.help)

    async def search(self, query: str) -> Hits:
        """Those whose name or meaning fits."""
        screen = self.screen
        asked = re.fullmatch(r"\s*limit\s+(\d{1,5}|auto)\s*", query)
        if asked is not None and isinstance(screen, MillScreen) and not screen.mill_app.read_only:
            wanted = None if asked[1] == "auto" else int(asked[1])
            most = "" if wanted is None else f"At most {several(wanted, 'busy worker')}"
            meaning = most or "Let the daemon find the number again"
            yield Hit(2.0, f"limit {asked[1]}", partial(screen.mill_app.orders.set_limit, wanted), help=meaning)
        added = re.fullmatch(r"\s*add\s+(\S.*)", query)
        if added is not None and isinstance(screen, MillScreen) and not screen.mill_app.read_only:
            yield Hit(2.0, safe(f"add {added[1]}"), partial(screen.mill_app.orders.add, added[1]),
                      help="Hand in this shell command as a job of its own")  # fmt: skip
        matcher = self.matcher(query)
        for command, text in self._offered():
            if (score := max(matcher.match(text), 0.5 * matcher.match(command.help))) > 0:
                yield Hit(score, matcher.highlight(text), partial(self._run, command), help=command.help)

    async def _run(self, command: Command) -> None:
        await self.screen.run_action(command.action)
