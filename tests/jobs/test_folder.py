"""Job folders: a result is there whole or not at all; clearing leaves none without its files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from factories.tiny import failure_of

from harness.base.files import write_text
from harness.jobs.folder import JobFolder, WorkFolder
from harness.jobs.spec import Input, Spec

SPEC = Spec("mask-stage", {"width": 4, "zoom": [0.9, 1.1]}, 7, {"device": "cpu"})


def filled(path: Path, epoch: int | None = None) -> JobFolder:
    folder = JobFolder(path)
    folder.open(SPEC)
    write_text(folder.at(epoch) / "weights.txt", "1 2 3")
    write_text(folder.journal, "-" * 50)
    return folder


def finish(folder: JobFolder, epoch: int | None = None, **changed: object) -> dict[str, object]:
    output = folder.at(epoch) / "weights.txt"
    values = changed.get("values", {"dice": 0.5})
    inputs = changed.get("inputs", {"store": "abc"})
    return folder.finish([output], values, inputs, {"seconds": 1.5}, {"device": "cpu"}, epoch, 42)  # type: ignore[arg-type]


def test_places_follow_kind_and_digest(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    assert work.job(SPEC).path == tmp_path / "jobs" / "mask-stage" / SPEC.digest
    assert work.job(SPEC.done(5)).path == work.job(SPEC).path
    assert work.job(SPEC).at(5) == work.job(SPEC).path / "checkpoints" / "5"
    assert not (tmp_path / "jobs").exists(), "asking makes nothing"
    assert work.job(SPEC).result() is None
    assert work.result(Input("mask-stage", "unknown", 3)) is None


def test_the_spec_comes_back(tmp_path: Path) -> None:
    folder = filled(tmp_path / SPEC.digest)
    assert folder.spec() == SPEC
    assert folder.spec().digest == SPEC.digest


def test_a_result_says_what_it_stands_for(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    finish(folder)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["outputs"] == {"weights.txt": hashlib.sha256(b"1 2 3").hexdigest()}
    assert result["values"] == {"dice": 0.5}
    assert result["inputs"] == {"store": "abc"}
    assert result["cost"] == {"seconds": 1.5}
    assert result["journal"] == 42
    assert result["versions"]["python"].startswith("3.")


def test_content_is_that_of_outputs_and_values_alone(tmp_path: Path) -> None:
    first = finish(filled(tmp_path / "a"))["content"]
    assert finish(filled(tmp_path / "b"), inputs={"store": "other"})["content"] == first
    assert finish(filled(tmp_path / "c"), values={"dice": 0.6})["content"] != first
    other = filled(tmp_path / "d")
    write_text(other.path / "weights.txt", "1 2 4")
    assert finish(other)["content"] != first


def test_checkpoints_are_listed_by_epoch_once_they_have_a_result(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    for epoch in (100, 9):
        finish(filled(tmp_path, epoch), epoch)
    filled(tmp_path, 50)  # weights alone: the training was killed here
    assert folder.checkpoints() == [9, 100]
    assert folder.result(50) is None
    assert folder.result(9) is not None


def test_a_value_that_json_cannot_say_leaves_no_result(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    with pytest.raises(ValueError):
        finish(folder, values={"dice": float("nan")})
    assert folder.result() is None
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_an_old_result_stays_whole_while_a_new_one_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = filled(tmp_path)
    old = finish(folder)

    def no_rename(*_: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(os, "replace", no_rename)
    with pytest.raises(OSError, match="the disk is gone"):
        finish(folder, values={"dice": 0.9})
    assert folder.result() == old


def test_opening_sweeps_up_what_a_killed_owner_was_writing(tmp_path: Path) -> None:
    folder = filled(tmp_path, 3)
    finish(folder, 3)
    rests = [
        tmp_path / ".result.json.x1y2.tmp",
        tmp_path / "state" / ".part.abc.pt",
        tmp_path / "checkpoints" / "3" / ".part.abc.safetensors",
        tmp_path / "store" / "scans" / "p" / ".hu.npy.q8.tmp",
    ]
    for rest in rests:
        rest.parent.mkdir(parents=True, exist_ok=True)
        rest.write_bytes(b"half")
    folder.open(SPEC)
    assert not any(rest.exists() for rest in rests)
    assert folder.result(3) is not None


def full(path: Path) -> JobFolder:
    folder = filled(path)
    finish(folder)
    for epoch in (1, 2):
        finish(filled(path, epoch), epoch)
    for name in (
        "journal.jsonl",
        "covered.json",
        "state/latest.pt",
        "samples/a-000001.png",
        "store/ct.npy",
    ):
        write_text(path / name, "{}")
    folder.fail("no luck")
    folder.begin(SPEC, {"store": "abc"})
    return folder


def test_clear_leaves_the_spec_and_the_lease(tmp_path: Path) -> None:
    folder = full(tmp_path)
    write_text(tmp_path / "lease.json", "{}")
    folder.clear()
    left = {path.name for path in tmp_path.rglob("*")} - {"weights.txt"}
    assert left == {"spec.json", "lease.json"}
    assert folder.checkpoints() == []
    assert folder.begun() is None
    folder.clear()


def test_a_clear_that_is_killed_leaves_no_result_without_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = full(tmp_path)
    before = shutil.rmtree

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        folder.clear()
    monkeypatch.setattr(shutil, "rmtree", before)
    assert folder.result() is None
    assert folder.checkpoints() == []


def test_a_failure_stays_until_it_is_forgotten(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    assert failure_of(folder) is None
    folder.fail("a sentence")
    assert failure_of(folder) == "a sentence"
    folder.forget_failure()
    folder.forget_failure()
    assert failure_of(folder) is None


def test_what_work_began_on_is_kept(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    assert folder.begun() is None
    folder.begin(SPEC, {"store": "a", "mask": "b"})
    assert folder.begun() == {"store": "a", "mask": "b"}
