"""What the link and the screens tell the app. Values only; nothing here acts."""

from __future__ import annotations

from textual.message import Message

from gristmill.supervisor.core.protocol import Update


class Arrived(Message):
    """An update came. Never merged with the next: a delta that is lost is a gap."""

    def __init__(self, update: Update) -> None:
        self.update = update
        super().__init__()


class LinkLost(Message):
    """No daemon answers; `reason` is one line."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__()

    def can_replace(self, message: Message) -> bool:
        """Only the newest reason counts."""
        return isinstance(message, LinkLost)
