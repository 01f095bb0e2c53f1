"""SHA-256 as everybody knows it."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from gristmill.supervisor.core.digest import sha256


@given(st.binary(max_size=200))
def test_it_is_the_same_as_hashlib_has_it(data: bytes) -> None:
    assert sha256(data) == hashlib.sha256(data).hexdigest()
