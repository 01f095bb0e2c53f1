"""docs/job-files.md, settings.md and commands.md say what the program reads, and every example in them is good."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from gristmill.supervisor import cli
from gristmill.supervisor.core import jobfile, keys, settings, settingskeys
from tests.reference import pages, samples

CASES = "path,threshold\na.nii,1\n"


@pytest.mark.parametrize("page", pages.made(), ids=lambda page: page.name)
def test_a_page_is_what_would_be_made_now(page: Path) -> None:
    difference = difflib.unified_diff(page.read_text().splitlines(), pages.made()[page].splitlines(), lineterm="", n=0)
    assert not list(difference), "write it again: python -m tests.reference"


@pytest.mark.parametrize("table", pages.TABLES)
def test_each_key_of_a_job_file_has_an_example_that_a_daemon_would_take(table: str) -> None:
    given = samples.JOBS[table]
    assert set(given) - {"range"} == set(keys.names(pages.TABLES[table]))
    for key, sample in given.items():
        job = sample if sample.startswith(("command", "call")) else f'command = "x"\n{sample}'
        assert key in sample
        jobfile.parse(job, f"{key}.toml", cwd="/work", home="/home/ann", read=lambda path: CASES)


def test_each_setting_has_an_example_that_is_one() -> None:
    assert set(samples.SETTINGS) == set(keys.names(settingskeys.SettingsFile))
    for key, sample in samples.SETTINGS.items():
        assert list(settings.parse(sample, "settings.toml")) == [key]


def test_every_key_and_command_has_its_place_on_the_page() -> None:
    headings = [
        (page, line) for page in pages.made() for line in page.read_text().splitlines() if line[:3] in {"## ", "###"}
    ]
    assert len(set(headings)) == len(headings), "each has a link of its own"
    wanted = sum(len(keys.names(layout)) for layout in pages.TABLES.values()) + len(samples.SETTINGS)
    assert len([line for _, line in headings if line.startswith("### ")]) == wanted + 1  # and a parameter's range
    assert [line for _, line in headings if line.startswith("## grist ")] == [f"## grist {verb}" for verb in cli.VERBS]
