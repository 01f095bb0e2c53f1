"""The keys of a job file: each is explained, and the schema that is shipped is theirs."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gristmill.supervisor.core import hints, jobfile, keys
from tests.reference.pages import TABLES

SHIPPED = Path(keys.__file__).with_name("job.schema.json")


def test_the_shipped_schema_is_current() -> None:
    made = json.dumps(keys.schema(), indent=2, ensure_ascii=False) + "\n"
    difference = difflib.unified_diff(SHIPPED.read_text().splitlines(), made.splitlines(), lineterm="")
    assert not list(difference), "write it again: json.dumps(keys.schema(), indent=2, ensure_ascii=False)"


@pytest.mark.parametrize("table", sorted(keys.schema()["$defs"]))
def test_every_key_has_a_description(table: str) -> None:
    properties: dict[str, Any] = keys.schema()["$defs"][table]["properties"]
    assert properties
    for name, says in properties.items():
        assert says.get("description"), f"{table}.{name}"


def test_what_a_synonym_leads_to_is_a_key() -> None:
    for meant in hints.SYNONYMS.values():
        table, _, key = meant.rpartition(".")
        assert key in keys.names(TABLES[table])


def test_a_default_in_the_schema_is_the_one_a_job_gets() -> None:
    spec = jobfile.parse('command = "x"', "a.toml", cwd="/", home="/", read=lambda path: path)
    defaults = {field.name: field.default for field in msgspec.structs.fields(keys.JobFile)}
    assert (defaults["priority"], defaults["grace"], defaults["on_reboot"]) == (0, "10s", "rerun")
    assert (spec.priority, spec.grace_s, spec.on_reboot) == (0, 10.0, "rerun")
    retry = {field.name: field.default for field in msgspec.structs.fields(keys.RetryTable)}
    assert (retry["attempts"], retry["backoff"]) == (1, "10s")
    assert (spec.retry.attempts, spec.retry.backoff_s) == (1, 10.0)
