"""What a daemon has recorded of its governor so far, while it goes on recording."""

from __future__ import annotations

from pathlib import Path

from gristmill.supervisor.core import trace
from gristmill.supervisor.core.trace import Step


def steps(record: Path) -> list[Step]:
    """All periods, of whole lines alone: the last one may be being written."""
    lines = [line for line in record.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    return [line for line in trace.read(lines) if isinstance(line, Step)] if lines else []
