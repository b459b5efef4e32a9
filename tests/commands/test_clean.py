"""What is deleted, and above all what is not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from factories.cli import run_cli
from factories.jobs import count, text

from harness.base.errors import EnvironmentFault
from harness.commands.clean import clean, lines
from harness.jobs.folder import WorkFolder
from harness.jobs.journal import mark_covered
from harness.jobs.lease import lease
from harness.jobs.planned import Planned
from harness.jobs.runner import run_request
from harness.jobs.spec import Request, Spec

STAGE = count("stage")
SYNTHESIS = text("made", mask=STAGE.done(4))
SEGMENTER = count("segmenter", extra=SYNTHESIS.done())
OTHER = count("another experiment's")
OPENING = Spec("opening", {"rule": {}}, inputs={"none/1000": SEGMENTER.done(3)})


@pytest.fixture
def work(tmp_path: Path) -> WorkFolder:
    """A comparison of one segmenter, its test opened; and a training that is none of it."""
    work = WorkFolder(tmp_path / "work")
    work.begin()
    wanted = [Request(STAGE, (2, 4)), Request(SYNTHESIS), Request(SEGMENTER, (3,))]
    for request in (*wanted, Request(OTHER, (2,))):
        assert run_request(request, work).state == "done"
    content = work.result(SEGMENTER.done(3))["content"]  # type: ignore[index]
    job = work.job(OPENING)
    job.open(OPENING)
    job.finish([], {}, {"none/1000": content}, {"seconds": 0.0}, {})
    (work.root / "openings.jsonl").write_text("{}\n")
    home = work.root / "experiments" / "tiny"
    home.mkdir(parents=True)
    for number in (1, 2):
        (home / f"chosen-00{number}.yaml").write_text("mask: {}\n")
    return work


def files(root: Path) -> set[Path]:
    """All files but those by which leases are taken."""
    return {path for path in root.rglob("*") if path.is_file() and path.suffix != ".lock"}


def state(work: WorkFolder, spec: Spec) -> Path:
    return work.job(spec).state


def test_states_behind_an_opened_test_go_and_nothing_else(work: WorkFolder) -> None:
    before = files(work.root)
    listed = clean(work.root)
    assert files(work.root) == before, "a list deletes nothing"
    gone = {state(work, STAGE), state(work, SEGMENTER)}
    assert {Path(path) for rest in listed["rests"] for path in rest["files"]} == gone
    size = sum(path.stat().st_size for path in gone)
    assert (listed["deleted"], listed["bytes"]) == (False, size)

    assert clean(work.root, delete=True)["bytes"] == size
    assert before - files(work.root) == gone
    assert state(work, OTHER).exists()
    assert clean(work.root)["rests"] == []
    assert lines(clean(work.root))[-1] == "nothing can go"
    # What was said of the cost: a longer training begins anew, to the same end.
    assert run_request(Request(STAGE, (6,)), work).state == "done"
    assert (work.job(STAGE).at(6) / "text").read_text() == "x" * 6


def test_a_comparison_that_is_not_evaluated_keeps_its_states(work: WorkFolder) -> None:
    (work.job(OPENING).path / "result.json").unlink()
    assert clean(work.root)["rests"] == []


def test_an_opening_of_other_weights_says_nothing(work: WorkFolder) -> None:
    """Its segmenter was made again: the comparison has to open anew."""
    job = work.job(SEGMENTER)
    job.clear()
    assert clean(work.root)["rests"] == []


def test_a_training_that_somebody_went_on_with_keeps_its_state(work: WorkFolder) -> None:
    """It was stopped in epoch 6, of more than the comparison needed."""
    work.job(STAGE).journal.touch()
    mark_covered(work.job(STAGE).path, 0, 5)
    assert [rest["files"] for rest in clean(work.root)["rests"]] == [[str(state(work, SEGMENTER))]]


def test_a_training_that_a_command_still_wants_longer_keeps_its_state(work: WorkFolder) -> None:
    """Stopped between two jobs: the last saved state is that of epoch 4, and 9 is wanted."""
    Planned(work.root / "experiments" / "longer", "compare").add([Request(STAGE, (4, 9))])
    assert [rest["files"] for rest in clean(work.root)["rests"]] == [[str(state(work, SEGMENTER))]]


def test_only_old_unfinished_files_are_leftovers(work: WorkFolder) -> None:
    home, hour = work.root / "experiments" / "tiny", 3600
    old = [home / ".scores.csv.ab12.tmp", work.job(OTHER).path / ".part.cd34.safetensors"]
    fresh = [home / ".index.html.ef56.tmp", home / "notes.tmp"]
    for path in (*old, *fresh):
        path.write_text("half")
    for path in (*old, home / "notes.tmp"):
        os.utime(path, times=(time.time() - 2 * hour,) * 2)
    scans = work.root / "patient-index"
    scans.mkdir()
    for name in ("ab.hu.npy", "ab.masks.npy", "ab.json", "ab.npy"):
        (scans / name).write_text("kept")
    sorts = {rest["what"]: {Path(p) for p in rest["files"]} for rest in clean(work.root)["rests"]}
    assert sorts["unfinished files of dead writers"] == set(old)
    assert sorts["scans kept between reading and cutting"] == {
        scans / "ab.hu.npy",
        scans / "ab.masks.npy",
    }
    before = files(work.root)
    clean(work.root, delete=True)
    assert before - files(work.root) == set().union(*sorts.values())


def test_a_state_that_lies_elsewhere_too_frees_nothing(work: WorkFolder) -> None:
    os.link(state(work, STAGE), work.root / "branched-off.pt")
    assert clean(work.root, delete=True)["bytes"] == len("3")  # the segmenter's: its epoch, in text
    assert (work.root / "branched-off.pt").read_text() == "4"


@pytest.mark.parametrize("delete", [False, True])
@pytest.mark.parametrize("of", ["driver", "worker"])
def test_nothing_is_touched_while_somebody_is_at_work(
    work: WorkFolder, of: str, delete: bool
) -> None:
    folder = work.root / "driver.lease.json"
    path = folder if of == "driver" else work.job(OTHER).path / "lease.json"
    with lease(path, "it"):
        before = files(work.root)
        with pytest.raises(EnvironmentFault, match=f"but process {os.getpid()} on .* is at work"):
            clean(work.root, delete)
        assert files(work.root) == before
    assert clean(work.root)["rests"]


def test_what_cannot_be_known_is_left_and_counted(work: WorkFolder) -> None:
    Planned(work.root / "experiments" / "tiny", "compare").add(
        [Request(STAGE, (4,)), Request(SYNTHESIS), Request(SEGMENTER, (3,)), Request(OPENING)]
    )
    found = clean(work.root, delete=True)
    assert found["others"] == {"jobs": 1, "bytes": work.job(OTHER).size()}
    assert any(line.startswith("left alone: 1 job (") for line in lines(found))


def test_the_command_lists_and_deletes_only_when_told(work: WorkFolder) -> None:
    listed = run_cli("clean", "--workdir", work.root)
    assert listed.code == 0
    assert "can go (--yes deletes it)" in listed.out
    assert state(work, STAGE).exists()
    assert run_cli("clean", "--workdir", work.root, "--yes", "--json").json["deleted"]
    assert not state(work, STAGE).exists()
    nowhere = run_cli("clean", "--workdir", work.root / "no")
    assert nowhere.code == 2
    assert "where there is no folder; name yours with --workdir" in nowhere.err
