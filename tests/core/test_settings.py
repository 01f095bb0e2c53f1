"""Settings: what files say and what is wrong with them, who wins, and what part of the machine is ours when."""

from __future__ import annotations

import difflib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.supervisor.core import keys, settings, settingskeys
from gristmill.supervisor.core.findings import Fault
from gristmill.supervisor.core.settings import Reserve, Settings, SettingsError

GB = 10**9
NINE = datetime(2026, 11, 16, 9, 0)
SHIPPED = Path(settings.__file__).with_name("settings.schema.json")


def problems(text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        settings.parse(text, "s.toml")
    assert caught.value.code == 2
    return str(caught.value).splitlines()


def test_what_a_file_says() -> None:
    said = settings.parse(
        'limit = 12\npolite = "mon-fri 08:00-20:00"\npolite_share = 0.25\nnice = 15\nionice = false\n'
        'memory_reserve = "10 %"\ndisk_reserve = "2 GiB"\n', "s.toml",
    )
    found = settings.settle(said)
    assert [window.text for window in found.polite] == ["mon-fri 08:00-20:00"]
    assert (found.limit, found.polite_share, found.nice, found.ionice) == (12, 0.25, 15, False)
    assert found.memory_reserve.of(64 * GB) == 6.4 * GB
    assert found.disk_kept(100 * GB) == 2 << 30


def test_without_a_word_the_defaults_hold() -> None:
    found = settings.settle(settings.parse("", "s.toml"))
    assert found == Settings()
    assert (found.limit, found.polite, found.nice, found.ionice) == (None, (), 10, True)
    assert found.memory_reserve.of(64 * GB) == 3.2 * GB
    assert found.memory_reserve.of(2 * GB) == 0.25 * GB
    assert (found.disk_kept(100 * GB), found.disk_kept(1 * GB)) == (256 << 20, 0.02 * GB)


def test_the_last_who_names_a_key_decides_it() -> None:
    user = settings.parse('limit = 3\nnice = 19\npolite = "08:00-20:00"\n', "user.toml")
    folder = settings.parse('limit = "auto"\npolite = []\n', "folder.toml")
    found = settings.settle(user, folder, {"disk_reserve": Reserve(size=GB)})
    assert (found.limit, found.nice, found.polite) == ("auto", 19, ())
    assert found.disk_kept(10**15) == GB


def test_every_problem_is_told_at_once_with_line_key_and_mend() -> None:
    text = (
        'limt = 3\npolite = ["8-20", 7, "xyz 08:00-09:00"]\nnice = 20\nmemory_reserve = "100 %"\nlimit = -1\n'
        'ionice = 1\npolite_share = 50\ndisk_reserve = "much"\n[limits]\nworkers = 3\n'
    )
    found = problems(text)
    assert [line.split(":")[1] for line in found] == ["1", "2", "2", "2", "3", "4", "5", "6", "7", "8", "9"]
    for line, words in zip(found, (
        "unknown key limt – did you mean limit?", '"8-20" names no hours – write hours such as "08:00-20:00"',
        "polite (value 2) is 7 – write text in quotes", '"xyz" is no day – the days are mon, tue',
        "nice is 20 – write a whole number from 0", '"100 %" leaves nothing', 'limit is -1 – write a whole number, or',
        "ionice is 1 – write true or false", "polite_share is 50 – write a number from 0 to 1",
        '"much" is not a size', "unknown key limits – did you mean limit?",
    ), strict=True):
        assert words in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("limit = true", "limit is true – write a whole number"), ('limit = "many"', "write a whole number, or"),
        ("polite = 8", "polite is 8 – write hours such as"), ("polite_share = -0.1", "write a number from 0"),
        ("polite_share = nan", "polite_share is nan"), ("nice = -5", "nice is -5"),
        ('nice = "10"', "write a whole number"),
        ("disk_reserve = 100", "give the unit"), ('memory_reserve = "0 %"', "leaves nothing"),
        ("a =", "not a value"), ("nice = 1\nnice = 2", "this key is given twice"),
        ("hours = 3", "did you mean polite?"), ("polite-share = 0.3", "did you mean polite_share?"),
        ("zebra = 3", "the keys here are limit, polite"), ('"\\u001b[2J" = 1', "unknown key"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_that_says_what_to_write(text: str, said: str) -> None:
    (line,) = problems(text)
    assert said in line
    assert " – " in line and line.isprintable()


@given(st.text(max_size=60) | st.builds(
    "{} = {}".format, st.sampled_from(keys.names(settingskeys.SettingsFile)),
    st.sampled_from(["1", "-1", "1.5", "inf", "true", '""', '"auto"', "[]", "[[]]", "{}", "{a = 1}", '"1 %"', "1e400",
                     '["08:00-20:00"]', '"08:00-20:00"', "2020-01-01", "99999999999999999999"]),
))
def test_any_text_is_understood_or_refused(text: str) -> None:
    try:
        found = settings.settle(settings.parse(text, "s.toml"))
    except SettingsError as error:
        assert error.problems
        return
    assert 0 <= settings.share(found, NINE) <= 1
    assert msgspec.json.decode(msgspec.json.encode(found), type=Settings) == found


def test_share_and_reason_in_polite_hours_and_out_of_them() -> None:
    found = settings.settle(settings.parse('polite = "08:00-20:00"', "s.toml"))
    assert settings.share(found, NINE) == 0.5
    assert settings.words(found, NINE) == "polite hours until 20:00: half of the machine"
    assert settings.words(found, NINE.replace(hour=19, minute=59)) == "polite hours until 20:00: half of the machine"
    late = NINE.replace(hour=20)
    assert (settings.share(found, late), settings.words(found, late)) == (1.0, "")
    third = settings.settle(settings.parse('polite = "00:00-24:00"\npolite_share = 0.3', "s.toml"))
    assert settings.words(third, NINE) == "polite hours at all times: 30 % of the machine"
    none = settings.settle(settings.parse('polite = "08:00-20:00"\npolite_share = 0', "s.toml"))
    assert (settings.share(none, NINE), settings.share(none, late)) == (0.0, 1.0)
    assert settings.words(none, NINE) == "polite hours until 20:00: nothing is started"
    assert settings.words(none, late) == ""


@pytest.mark.parametrize(("text", "total", "kept"), [("4 GiB", GB, 4 << 30), ("12.5 %", 8 * GB, GB), ("1%", 100, 1)])
def test_what_is_left_free(text: str, total: int, kept: int) -> None:
    assert settings.amount(text).of(total) == kept


@pytest.mark.parametrize("text", ["91 %", "0%", "-1 %", "1 KB", "%", "10 percent"])
def test_what_leaves_nothing_sensible_is_refused(text: str) -> None:
    with pytest.raises(Fault):
        settings.amount(text)


def test_settings_in_words() -> None:
    said = settings.parse(
        'limit = "auto"\npolite = ["sat 08:00-20:00", "22:00-06:00"]\nionice = false\nmemory_reserve = "10 %"\n'
        'disk_reserve = "2 GiB"', "s.toml",
    )
    assert [settings.worded(key, value) for key, value in said.items()] == [
        "limit auto", "polite sat 08:00-20:00, 22:00-06:00", "ionice false", "memory_reserve 10 %", "disk_reserve 2.0G",
    ]
    assert settings.worded("polite", ()) == "polite never"


def test_the_shipped_schema_is_current_and_explains_every_key() -> None:
    made = json.dumps(settingskeys.schema(), indent=2, ensure_ascii=False) + "\n"
    difference = difflib.unified_diff(SHIPPED.read_text().splitlines(), made.splitlines(), lineterm="")
    assert not list(difference), "write it again: json.dumps(settingskeys.schema(), indent=2, ensure_ascii=False)"
    properties: dict[str, Any] = settingskeys.schema()["$defs"]["SettingsFile"]["properties"]
    assert all(says.get("description") for says in properties.values())
    assert tuple(properties) == tuple(field.name for field in msgspec.structs.fields(Settings))
    assert set(settingskeys.SYNONYMS.values()) <= set(properties) and not set(settingskeys.SYNONYMS) & set(properties)


def test_how_long_and_how_much_of_ended_jobs_is_kept() -> None:
    said = settings.parse('keep = "30d"\nkeep_size = "5 GiB"\n', "s.toml")
    assert settings.settle(said) == Settings(keep=30 * 86400.0, keep_size=5 << 30)
    both = settings.settle(said, settings.parse('keep = "all"\nkeep_size = "all"\n', "s.toml"))
    assert (both.keep, both.keep_size, both.keep_usual) == (None, None, False)
    assert settings.settle({}).keep_usual
    assert [settings.worded(key, value) for key, value in said.items()] == ["keep 30d 00h", "keep_size 5.0G"]
    assert settings.worded("keep", None) == "keep all"


def test_which_cards_are_ours_and_what_is_counted() -> None:
    text = 'gpus = [0, "GPU-1"]\ngpus_shared = true\ncounters = { licenses = 4, seats = 1.5 }\n'
    said = settings.parse(text, "s.toml")
    assert settings.settle(said) == Settings(
        gpus=(0, "GPU-1"), gpus_shared=True, counters={"licenses": 4.0, "seats": 1.5}
    )
    assert [settings.worded(key, value) for key, value in said.items()] == [
        "gpus 0, GPU-1", "gpus_shared true", "counters licenses 4, seats 1.5",
    ]
    for text, meant, words in (('"all"', None, "gpus all"), ('"none"', (), "gpus none")):
        said = settings.parse(f"gpus = {text}\n", "s.toml")
        assert settings.settle(said).gpus == meant and settings.worded("gpus", said["gpus"]) == words


@pytest.mark.parametrize(
    "text", ['keep = "30"', "keep = -1", 'keep = "for ever"', "keep_size = 5", 'keep_size = "much"']
)
def test_a_bound_of_what_is_kept_is_read_strictly(text: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith("s.toml:1:")
