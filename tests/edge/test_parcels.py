"""Parcels: what a program packs its worker unpacks, and a call whose parcel is gone says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from gristmill.supervisor.edge import parcels
from gristmill.supervisor.edge.parcels import GoneError, Parcels


def test_every_call_is_found_in_whichever_parcel_it_went(tmp_path: Path) -> None:
    program, worker = Parcels(tmp_path), Parcels(tmp_path)
    program.pack(0, [b"a", b"", b"ccc"], durable=False)
    program.pack(3, [b"d" * 100_000], durable=True)
    program.pack(4, [b"e"], durable=False)
    assert [worker.unpack(item) for item in (4, 0, 2, 1, 3)] == [b"e", b"a", b"ccc", b"", b"d" * 100_000]
    worker.close()


def test_a_parcel_written_again_is_whole(tmp_path: Path) -> None:
    program, worker = Parcels(tmp_path), Parcels(tmp_path)
    program.pack(0, [b"first try", b"that was cut off"], durable=False)
    program.pack(0, [b"x", b"y"], durable=False)
    assert [worker.unpack(0), worker.unpack(1)] == [b"x", b"y"]
    worker.close()


def test_what_is_gone_is_said_to_be(tmp_path: Path) -> None:
    worker = Parcels(tmp_path)
    with pytest.raises(GoneError, match="arguments of call 0 are gone"):
        worker.unpack(0)
    path = worker.pack(0, [b"a"], durable=False)
    with pytest.raises(GoneError, match="arguments of call 1 are gone"):
        worker.unpack(1)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(GoneError, match="too early"):
        worker.unpack(0)
    worker.close()
    with pytest.raises(GoneError, match="gone"):
        Parcels(tmp_path / "nowhere").unpack(0)


def test_clearing_leaves_results_that_are_files(tmp_path: Path) -> None:
    box = Parcels(parcels.folder(tmp_path, 7))
    box.pack(0, [b"a"], durable=False)
    assert parcels.jobs(tmp_path) == [7]
    kept = box.keep("r0", b"large")
    parcels.clear(tmp_path, 7)
    assert [path.name for path in kept.parent.iterdir()] == ["r0"]
    assert kept.read_bytes() == b"large"
    kept.unlink()
    parcels.clear(tmp_path, 7)
    assert parcels.jobs(tmp_path) == []
