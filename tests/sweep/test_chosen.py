"""Versions of the choice: the same one stays, another is added, none is touched."""

from __future__ import annotations

from pathlib import Path

import yaml

from harness.sweep.chosen import read_chosen, write_chosen

FIRST = {"mask": {"study": "mask-1", "trial": 3, "params": {"batch_size": 12}, "quality/kid": 0.04}}
SECOND = {**FIRST, "image": {"study": "image-1", "trial": 0, "params": {"batch_size": 4}}}


def test_nothing_is_chosen_at_first(tmp_path: Path) -> None:
    assert read_chosen(tmp_path) is None
    assert read_chosen(tmp_path / "nowhere") is None


def test_a_choice_is_read_back_equal_in_its_order(tmp_path: Path) -> None:
    path = write_chosen(tmp_path, SECOND)
    assert path.name == "chosen-001.yaml"
    assert read_chosen(tmp_path) == SECOND
    assert list(read_chosen(tmp_path) or {}) == ["mask", "image"]
    assert yaml.safe_load(path.read_text()) == SECOND
    assert path.read_text().startswith("# Settings chosen by the sweeps")


def test_the_same_choice_stays_the_version_it_is(tmp_path: Path) -> None:
    path = write_chosen(tmp_path, FIRST)
    before = path.stat().st_mtime_ns
    assert write_chosen(tmp_path, dict(FIRST)) == path
    assert path.stat().st_mtime_ns == before
    assert [file.name for file in tmp_path.iterdir()] == ["chosen-001.yaml"]


def test_another_choice_is_a_new_version_and_the_old_one_stays(tmp_path: Path) -> None:
    first = write_chosen(tmp_path, FIRST)
    text, time = first.read_bytes(), first.stat().st_mtime_ns
    second = write_chosen(tmp_path, SECOND)
    assert second.name == "chosen-002.yaml"
    assert read_chosen(tmp_path) == SECOND
    assert (first.read_bytes(), first.stat().st_mtime_ns) == (text, time)


def test_going_back_to_an_old_choice_is_a_third_version(tmp_path: Path) -> None:
    for choice in (FIRST, SECOND, FIRST):
        write_chosen(tmp_path, choice)
    assert read_chosen(tmp_path) == FIRST
    assert len(list(tmp_path.iterdir())) == 3


def test_versions_are_read_by_number_not_by_letter(tmp_path: Path) -> None:
    for number in range(1, 1003):
        (tmp_path / f"chosen-{number:03d}.yaml").write_text(f"mask: {{trial: {number}}}\n")
    assert read_chosen(tmp_path) == {"mask": {"trial": 1002}}
    assert write_chosen(tmp_path, FIRST).name == "chosen-1003.yaml"


def test_a_version_that_someone_deleted_is_not_overwritten(tmp_path: Path) -> None:
    for choice in (FIRST, SECOND, {}):
        write_chosen(tmp_path, choice)
    (tmp_path / "chosen-001.yaml").unlink()
    third = (tmp_path / "chosen-003.yaml").read_bytes()
    assert write_chosen(tmp_path, FIRST).name == "chosen-004.yaml"
    assert (tmp_path / "chosen-003.yaml").read_bytes() == third
