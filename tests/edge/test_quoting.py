"""A value in a shell line is never run, whatever stands around it: asked of a real shell."""

from __future__ import annotations

import shlex
import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.supervisor.core import shell, template
from gristmill.supervisor.core.findings import Fault
from tests.waiting import DEADLINE

FRAGMENTS = st.sampled_from(
    ['"', "'", "$(printf %s ", "$((1+", ")", "\\", " ", "y", "#", "`", "\n", "${{X-", "}}", "{a}", "(", ";"]
)


@settings(max_examples=300)
@given(st.lists(FRAGMENTS, max_size=6).map("".join))
def test_what_is_let_through_runs_no_value(line: str) -> None:
    text = f"printf %s {line}{{a}}"
    try:
        offsets = [hole.offset for hole in template.holes(text)]
    except Fault:
        return
    if shell.quoted(text, offsets):
        return
    done = subprocess.run(
        ["/bin/sh", "-c", template.render(text, {"a": "'$(echo RUN >&2)'`echo RUN >&2`"}, shlex.quote)],
        capture_output=True, text=True, check=False, timeout=DEADLINE,
    )  # fmt: skip
    assert "RUN" not in done.stderr.replace("echo RUN", "")
