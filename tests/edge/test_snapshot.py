"""Code copied from real folders and real repositories."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gristmill.supervisor.core.findings import Fault
from gristmill.supervisor.core.spec import Snapshot, Spec
from gristmill.supervisor.edge import snapshot


def wanting(folder: Path, *files: str, git: bool = False) -> Spec:
    return Spec(name="x", kind="command", command="true", cwd=str(folder), snapshot=Snapshot(files=files, git=git))


def copied(spec: Spec, to: Path) -> Snapshot:
    assert spec.snapshot is not None
    return snapshot.copy(spec.snapshot, snapshot.plan(spec, ""), str(to))


def tree(folder: str | Path) -> dict[str, str]:
    found = (path for path in Path(folder).rglob("*") if not path.is_dir())
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(found)}


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    lab = tmp_path / "lab"
    (lab / "conf" / "deep").mkdir(parents=True)
    (lab / "train.py").write_text("one")
    (lab / "run.sh").write_text("two")
    (lab / "run.sh").chmod(0o755)
    (lab / "conf" / "deep" / "a.yaml").write_text("three")
    (lab / "data.bin").write_text("no")
    return lab


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", "-C", str(folder), *who, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_files_by_patterns(lab: Path, tmp_path: Path) -> None:
    made = copied(wanting(lab, "*.py", "*.sh", "conf/**"), tmp_path / "copy")
    (lab / "train.py").write_text("changed")
    assert tree(made.tree) == {"train.py": "one", "run.sh": "two", "conf/deep/a.yaml": "three"}
    assert (made.count, made.bytes) == (3, 11)
    assert os.access(f"{made.tree}/run.sh", os.X_OK)
    assert (Path(made.tree) / "train.py").stat().st_mode & 0o777 == 0o400


def test_a_copy_that_was_begun_is_begun_anew(lab: Path, tmp_path: Path) -> None:
    copied(wanting(lab, "*"), tmp_path / "copy")
    assert tree(copied(wanting(lab, "*.py"), tmp_path / "copy").tree) == {"train.py": "one"}


def test_what_can_not_be_frozen(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Fault, match="matches no file"):
        snapshot.plan(wanting(lab, "*.py", "*.jl"), "")
    with pytest.raises(Fault, match="can't be read: No such file"):
        snapshot.plan(wanting(lab, "src/*.py"), "")
    with open(lab / "big.py", "wb") as file:
        file.truncate(snapshot.MOST_BYTES)
    with pytest.raises(Fault, match=r'64 MiB are too much: "big.py" has 64 MiB'):
        snapshot.plan(wanting(lab, "*.py"), "")
    monkeypatch.setattr(snapshot, "MOST_FILES", 2)
    with pytest.raises(Fault, match="3 files are too many"):
        snapshot.plan(wanting(lab, "*.sh", "conf/**", "data.bin"), "")
    monkeypatch.setattr(snapshot, "MOST_LOOKED_AT", 3)
    with pytest.raises(Fault, match="more than 3 files lie there"):
        snapshot.plan(wanting(lab, "**"), "")


def test_pipes_and_links(lab: Path, tmp_path: Path) -> None:
    (lab / "link.py").symlink_to("train.py")
    (tmp_path / "outside.py").write_text("far")
    (lab / "far.py").symlink_to(tmp_path / "outside.py")
    (lab / "gone.py").symlink_to("nothing")
    os.mkfifo(lab / "pipe.py")
    made = copied(wanting(lab, "*.py"), tmp_path / "copy")
    assert tree(made.tree) == {"train.py": "one", "link.py": "one", "far.py": "far"}
    assert os.readlink(f"{made.tree}/link.py") == "train.py"


def test_what_git_tracks_as_it_is_now(lab: Path, tmp_path: Path) -> None:
    git(lab, "init", "-q")
    git(lab, "add", "train.py", "run.sh", "conf")
    git(lab, "commit", "-qm", "first")
    (lab / "train.py").write_text("edited")
    (lab / "run.sh").unlink()
    spec = wanting(lab / "conf", git=True)  # a folder in it
    made = copied(spec, tmp_path / "copy")
    assert tree(Path(made.folder) / "tree") == {"train.py": "edited", "conf/deep/a.yaml": "three"}
    assert made.tree == f"{made.folder}/tree/conf"
    assert (made.commit, made.changed, made.untracked) == (git(lab, "rev-parse", "HEAD"), ("run.sh", "train.py"), 1)
    assert "+edited" in (Path(made.folder) / "diff.patch").read_text()


def test_where_git_has_nothing(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Fault, match=r"git: .*not a git repository"):
        snapshot.plan(wanting(lab, git=True), "")
    git(lab, "init", "-q")
    with pytest.raises(Fault, match="commit something first"):
        snapshot.plan(wanting(lab, git=True), "")
    monkeypatch.setenv("PATH", str(lab))
    with pytest.raises(Fault, match="there is no git here"):
        snapshot.plan(wanting(lab, git=True), "")
