"""Several logs in one, each line with its name."""

import re
from pathlib import Path

from gristmill.tui import mixer as module
from gristmill.tui.mixer import Mixer


def read(mixer: Mixer) -> list[str]:
    mixer.pump()
    return re.sub("\x1b\\[[0-9]+m", "", Path(mixer.path).read_text()).splitlines()


def test_lines_come_whole_and_named(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("1\n2\nunfin")
    mixer = Mixer(["a/1", "a/12"])
    mixer.point(0, str(one))
    mixer.point(1, None)
    assert read(mixer) == ["a/1  1", "a/1  2"]
    two.write_text("x\n")
    mixer.point(1, str(two))
    with one.open("a") as more:
        more.write("ished\n")
    assert read(mixer) == ["a/1  1", "a/1  2", "a/1  unfinished", "a/12 x"]
    path = Path(mixer.path)
    assert path.stat().st_mode & 0o077 == 0
    mixer.close()
    assert not path.exists()
    assert mixer.pump() == 0


def test_a_log_that_only_has_a_new_name_is_not_read_twice(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("1\n")
    mixer = Mixer(["a"])
    mixer.point(0, str(log))
    assert read(mixer) == ["a 1"]
    log.rename(tmp_path / "done")
    mixer.point(0, str(tmp_path / "done"))
    assert read(mixer) == ["a 1"]
    mixer.close()


def test_of_a_long_log_only_the_end_is_taken_from_a_line_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(100_000)))
    mixer = Mixer(["a"])
    mixer.point(0, str(log))
    lines = read(mixer)
    assert lines[-1] == "a line 99999"
    assert len(lines) < 10_000
    assert all(line.startswith("a line ") for line in lines)
    mixer.close()


def test_its_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("")
    mixer = Mixer(["a"])
    mixer.point(0, str(log))
    most, module.SPOOL_MOST = module.SPOOL_MOST, 4096
    try:
        for turn in range(100):
            with log.open("a") as more:
                more.write(f"{turn:0100d}\n")
            assert mixer.pump() > 0
        assert Path(mixer.path).stat().st_size <= 4096
    finally:
        module.SPOOL_MOST = most
        mixer.close()
