"""The spawner of workers whose tasks are commands: run by its path, with a socket's descriptor as the only argument."""

from __future__ import annotations

import socket
import sys

if not __package__:  # the other files are found beside this one, under a name that is nobody else's
    __package__ = "_gristmill"
    sys.modules[__package__] = type(sys)(__package__)
    sys.modules[__package__].__path__ = [__file__.rpartition("/")[0]]

from .processes import name_process
from .spawner import Spawner, settle


def main() -> None:
    """Serves until the daemon is gone."""
    name_process("grist-spawner")
    settle()
    Spawner(socket.socket(fileno=int(sys.argv[1]))).serve()


if __name__ == "__main__":
    main()
