"""Openings of one user's work folders are known to one another, as counts and dates alone."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.compare.user_register import EarlierOpenings, earlier_openings, enter_openings
from harness.work.evaluate.opening import enter

DIGESTS = {name: (name * 24)[:24] for name in "abcx"}


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "harness" / "openings.jsonl"


def opened(root: Path, patients: str, rule: str = "r1", segmenters: str = "s1") -> str:
    """Open patients in a work folder, as the job and then the command do."""
    digests = [DIGESTS[name] for name in patients]
    entry = {"patients": digests, "rule": rule, "segmenters": segmenters}
    enter(root / "openings.jsonl", entry)
    return enter_openings(root)


def earlier(root: Path, patients: str, rule: str = "r1", segmenters: str = "s1") -> EarlierOpenings:
    return earlier_openings(root, [DIGESTS[name] for name in patients], rule, segmenters)


def looks(found: EarlierOpenings) -> list[tuple[int, bool, bool]]:
    return [(o.patients, o.same_rule, o.same_segmenters) for o in found.openings]


@contextlib.contextmanager
def full(size: int) -> Iterator[None]:
    """No file grows beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_other_folders_opened_before_is_counted(register: Path, tmp_path: Path) -> None:
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    assert [opened(one, "ab"), opened(two, "bcx", "r2"), opened(three, "ab")] == ["", "", ""]
    assert looks(earlier(one, "ab")) == [], "the others came later"
    assert looks(earlier(two, "bcx", "r2")) == [(1, False, True)]
    assert looks(earlier(three, "ab")) == [(2, True, True), (1, False, True)]
    assert looks(earlier(tmp_path / "new", "x", "r3", "")) == [(1, False, False)]
    sentence = earlier(three, "ab").sentence
    assert sentence.startswith("2 earlier openings of these 2 test patients in other work folders")
    assert "(2 of 2 patients, the same rule, the same segmenters), " in sentence
    assert "(1 of 2 patients, another rule, the same segmenters)." in sentence
    assert earlier(one, "ab").sentence == (
        "No earlier opening of these 2 test patients in other work folders is in the user's "
        "register."
    )


def test_a_folder_is_never_its_own_other(register: Path, tmp_path: Path) -> None:
    """Commands repeated, another rule, a folder moved: all are the same folder's openings."""
    one = tmp_path / "one"
    assert [opened(one, "ab"), opened(one, "ab"), opened(one, "ab", "r2")] == ["", "", ""]
    assert len(register.read_text().splitlines()) == 2
    assert looks(earlier(one, "ab", "r2")) == []
    moved = one.rename(tmp_path / "moved")
    assert enter_openings(moved) == ""
    assert len(register.read_text().splitlines()) == 2
    assert looks(earlier(moved, "ab", "r2")) == []


def test_a_folder_begun_anew_hides_nothing(register: Path, tmp_path: Path) -> None:
    one = tmp_path / "one"
    opened(one, "ab")
    shutil.rmtree(one)
    opened(one, "ab", "r2", "s2")
    assert looks(earlier(one, "ab", "r2", "s2")) == [(2, False, False)]


def test_no_patient_and_no_path_stands_in_clear(register: Path, tmp_path: Path) -> None:
    opened(tmp_path / "clinic-folder", "abc")
    written = b"".join(path.read_bytes() for path in register.parent.iterdir())
    for secret in (*DIGESTS.values(), "clinic-folder", str(tmp_path)):
        assert secret.encode() not in written
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in register.parent.iterdir()}
    assert modes == {"openings.jsonl": 0o600, "key": 0o600}
    assert stat.S_IMODE(register.parent.stat().st_mode) == 0o700


def test_a_place_that_cannot_be_made_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    trouble = opened(tmp_path / "one", "ab")
    assert trouble.endswith(": Not a directory")
    found = earlier(tmp_path / "one", "ab")
    assert (found.known, found.openings) == (False, ())
    assert found.sentence == (
        "Earlier openings in other work folders are not known: harness/openings.jsonl with its key "
        "in $XDG_STATE_HOME or ~/.local/state: Not a directory."
    )


def test_without_a_register_none_is_made_by_reading(register: Path, tmp_path: Path) -> None:
    assert "not known: there is no harness/openings.jsonl" in earlier(tmp_path, "ab").sentence
    assert not register.parent.exists()


def test_what_cannot_be_written_is_said_beside_what_is_known(
    register: Path, tmp_path: Path
) -> None:
    opened(tmp_path / "one", "ab")
    before = register.read_text()
    enter(
        tmp_path / "two" / "openings.jsonl",
        {"patients": [DIGESTS["a"]], "rule": "r1", "segmenters": "s2"},
    )
    with full(len(before)):
        trouble = enter_openings(tmp_path / "two")
    assert register.read_text() == before
    found = earlier_openings(tmp_path / "two", [DIGESTS["a"]], "r1", "s2", trouble)
    assert looks(found) == [(1, True, False)]
    assert "Other work folders will not know of this opening: harness/openings" in found.sentence
    assert enter_openings(tmp_path / "two") == "", "the next command enters it"
    assert len(register.read_text().splitlines()) == 2


def test_damaged_lines_are_skipped_and_said(register: Path, tmp_path: Path) -> None:
    opened(tmp_path / "one", "ab")
    line = json.loads(register.read_text())
    wrong = [{**line, "time": float("nan")}, {**line, "patients": [["a"]]}, [], None]
    with open(register, "ab") as file:
        file.write("".join(json.dumps(value) + "\n" for value in wrong).encode())
        file.write(b"\xff\xfe\x00 no text\n" + json.dumps(line).encode()[:40])  # a crash
    assert opened(tmp_path / "two", "ab", "r2") == ""
    found = earlier(tmp_path / "two", "ab", "r2")
    assert looks(found) == [(2, False, True)]
    assert "6 lines of the register could not be read (damaged, or under another" in found.sentence
    assert looks(earlier(tmp_path / "three", "a")) == [(1, True, True), (1, False, True)]


def test_a_lost_key_is_said(register: Path, tmp_path: Path) -> None:
    opened(tmp_path / "one", "ab")
    register.with_name("key").unlink()
    assert not earlier(tmp_path / "two", "ab").known
    opened(tmp_path / "two", "ab")
    found = earlier(tmp_path / "two", "ab")
    assert (looks(found), found.unreadable) == ([], 1)
    assert "1 line of the register could not be read" in found.sentence


def test_many_commands_enter_one_after_another(register: Path, tmp_path: Path) -> None:
    roots = [tmp_path / f"folder{n}" for n in range(4)]
    for root in roots:
        enter(root / "openings.jsonl", {"patients": ["a"], "rule": "r", "segmenters": "s"})
    code = (
        "import sys; from pathlib import Path\n"
        "from harness.compare.user_register import enter_openings\n"
        "sys.exit(enter_openings(Path(sys.argv[1])) or None)"
    )
    racers = [subprocess.Popen([sys.executable, "-c", code, str(root)]) for root in roots]
    assert [racer.wait() for racer in racers] == [0, 0, 0, 0]
    lines = [json.loads(line) for line in register.read_text().splitlines()]
    assert len({line["opening"] for line in lines}) == len(lines) == 4
    assert len({line["key"] for line in lines}) == 1


def test_a_relative_state_folder_counts_as_unset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    opened(tmp_path / "one", "ab")
    assert (tmp_path / "home/.local/state/harness/openings.jsonl").exists()
    assert sorted(os.listdir(tmp_path)) == ["home", "one"]
