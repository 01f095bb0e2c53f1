"""Run by path with a message on its input: sends it the way that its `apprise` names, and exits with 1 where it can't.

In a process of its own, so that a service which hangs or leaks costs the daemon nothing. Standard library and apprise.
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    """Reads, sends, says why not."""
    message = json.load(sys.stdin)
    try:
        import apprise
    except ImportError:
        sys.exit("apprise is not installed: pip install 'gristmill[apprise]'")
    way = apprise.Apprise()
    if not way.add(message.pop("apprise")):
        sys.exit("apprise does not understand this URL")
    body = "\n".join(f"{key}: {value}" for key, value in message.items() if value not in ("", None) and key != "text")
    if not way.notify(title=f"gristmill: {message['text']}", body=body):
        sys.exit("apprise could not deliver the message")


if __name__ == "__main__":
    main()
