"""One request at a time: results are kept, stale ones named and made again, failures stored."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from factories.jobs import breaks, count, request, rewrite, runs, text
from factories.tiny import failure_of

from harness.base.files import write_text
from harness.jobs import runner
from harness.jobs.folder import WorkFolder
from harness.jobs.runner import run_request
from harness.jobs.status import finished, missing


@pytest.fixture
def work(tmp_path: Path) -> WorkFolder:
    return WorkFolder(tmp_path)


def test_a_result_is_made_once(work: WorkFolder) -> None:
    spec = text("a")
    for _ in range(2):
        assert run_request(request(spec), work) == runner.Outcome("done")
    assert runs(work, spec) == 1
    assert work.job(spec).spec() == spec
    assert not (work.job(spec).path / "lease.json").exists()


def test_a_lineage_makes_only_what_is_missing(work: WorkFolder) -> None:
    spec = count()
    run_request(request(spec, 2, 4), work)
    assert work.job(spec).checkpoints() == [2, 4]
    assert missing(work, request(spec, 2, 4, 5)) == [5]
    run_request(request(spec, 2, 4, 5), work)
    run_request(request(spec, 4), work)
    assert runs(work, spec) == 2


def test_an_input_with_another_content_makes_a_result_stale(work: WorkFolder) -> None:
    first = text("a")
    second = text("b", left=first.done(), right=first.done())
    for spec in (first, second):
        run_request(request(spec), work)
    assert finished(work, second) is not None
    rewrite(work, first, "other")
    assert finished(work, second) is None
    outcome = run_request(request(second, label="b"), work)
    assert outcome.reason == "made again, for input 'left' and 'right' changed"
    assert (work.job(second).path / "store" / "text").read_text() == "otherotherb"
    assert finished(work, second) is not None


def test_an_input_made_again_with_the_same_content_makes_nothing_stale(work: WorkFolder) -> None:
    first = text("a")
    second = text("b", left=first.done())
    for spec in (first, second):
        run_request(request(spec), work)
    rewrite(work, first, "a")
    run_request(request(second), work)
    assert runs(work, second) == 1


def test_a_stale_lineage_starts_from_nothing(work: WorkFolder) -> None:
    first = text("a")
    spec = count(store=first.done())
    run_request(request(first), work)
    run_request(request(spec, 3), work)
    rewrite(work, first, "other")
    outcome = run_request(request(spec, 2), work)
    assert outcome.reason == "made again, for input 'store' changed"
    assert work.job(spec).checkpoints() == [2], "the checkpoint of the old store is gone"
    assert work.job(spec).state.read_text() == "2"


def test_a_state_of_other_inputs_is_not_gone_on_with(work: WorkFolder) -> None:
    """Stopped before the first checkpoint: nothing but the state knows what was read."""
    first = text("a")
    spec = count(store=first.done())
    run_request(request(first), work)
    asked = iter([False, True])
    stopped = run_request(request(spec, 5), work, lambda: next(asked))
    assert stopped.state == "stopped"
    assert work.job(spec).state.read_text() == "2"
    rewrite(work, first, "other")
    assert run_request(request(spec, 5), work, lambda: True).reason == "stopped after 1"


def test_stopped_work_is_gone_on_with(work: WorkFolder) -> None:
    spec = count()
    asked = iter([False, True, False, False, False])
    assert run_request(request(spec, 5), work, lambda: next(asked)).reason == "stopped after 2"
    assert failure_of(work.job(spec)) is None
    assert run_request(request(spec, 5), work, lambda: next(asked)).state == "done"


def test_what_a_killed_plain_job_left_is_no_part_of_its_result(work: WorkFolder) -> None:
    clean, killed = text("a"), text("a")
    folder = work.job(killed)
    write_text(folder.path / "store" / "scans" / "half", "half a scan")
    write_text(folder.path / "store" / ".text.x.tmp", "half")
    run_request(request(clean), work)
    result = folder.result()
    assert result is not None
    assert list(result["outputs"]) == ["store/text"]


# --- failures -------------------------------------------------------------------------------------


def test_a_sentence_is_stored_and_keeps_its_exit_code(work: WorkFolder) -> None:
    outcome = run_request(request(breaks("sentence")), work)
    assert (outcome.state, outcome.exit_code) == ("failed", 2)
    assert outcome.reason == "patients must be patient, but got haste; wait"
    assert failure_of(work.job(breaks("sentence"))) == outcome.reason
    assert work.job(breaks("sentence")).result() is None


def test_a_bug_is_stored_with_its_traceback(work: WorkFolder) -> None:
    outcome = run_request(request(breaks("bug")), work)
    assert (outcome.state, outcome.exit_code) == ("failed", 1)
    assert outcome.reason.startswith("ZeroDivisionError: an accident\nTraceback")
    assert "break_job" in (failure_of(work.job(breaks("bug"))) or "")


@pytest.mark.parametrize("library", ["torch", "numpy"])
def test_a_want_of_memory_is_stored_with_the_sizes_of_the_job(
    work: WorkFolder, library: str
) -> None:
    spec = breaks(f"{library}-memory", batch_size=128, width=64)
    outcome = run_request(request(spec), work)
    assert (outcome.state, outcome.exit_code) == ("failed", 3)
    assert outcome.reason == (
        "a job must fit the machine's memory, but got one that does not (test-break, batch size "
        "128, width 64); take smaller sizes"
    )
    assert work.job(spec).too_large() == outcome.reason


def test_memory_refused_in_a_used_process_is_asked_for_in_a_new_one(work: WorkFolder) -> None:
    """It may hold what an earlier job left, so its refusal is nothing to keep."""
    spec = breaks("numpy-memory")
    outcome = run_request(request(spec), work, fresh=False)
    assert (outcome.state, outcome.spent) == ("crowded", True)
    assert failure_of(work.job(spec)) is None
    outcome = run_request(request(spec), work)
    assert (outcome.state, outcome.spent) == ("failed", True)


def test_other_failures_are_not_of_memory(work: WorkFolder) -> None:
    for how in ("sentence", "bug"):
        run_request(request(breaks(how)), work)
        assert failure_of(work.job(breaks(how)))
        assert work.job(breaks(how)).too_large() is None


def test_a_failure_is_forgotten_when_it_works(work: WorkFolder) -> None:
    spec = breaks("once")
    assert run_request(request(spec), work).state == "failed"
    write_text(work.root / "mended", "")
    assert run_request(request(spec), work).state == "done"
    assert failure_of(work.job(spec)) is None


def test_a_missing_input_is_said(work: WorkFolder) -> None:
    spec = text("b", left=text("never made").done())
    outcome = run_request(request(spec), work)
    assert (outcome.state, outcome.exit_code) == ("failed", 3)
    assert outcome.reason == (
        "input 'left' of this test-text job must be finished, but its result is gone; run the "
        "command again"
    )


# --- another owner --------------------------------------------------------------------------------

HOLD = """
import sys
from pathlib import Path
from harness.jobs.lease import lease
with lease(Path(sys.argv[1]), "the job"):
    print("held", flush=True)
    sys.stdin.read()
"""


def orphan(work: WorkFolder, path: Path) -> subprocess.Popen[str]:
    """A worker whose driver died: it holds the job until its standard input closes."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_job_waits_for_a_worker_that_is_leaving(work: WorkFolder) -> None:
    spec = text("a")
    process = orphan(work, work.job(spec).path / "lease.json")
    leaves = threading.Timer(0.5, lambda: process.communicate(""))
    leaves.start()
    started = time.monotonic()
    assert run_request(request(spec), work).state == "done"
    assert time.monotonic() - started > 0.4
    leaves.join()


def test_a_stop_ends_the_wait(work: WorkFolder) -> None:
    spec = text("a")
    process = orphan(work, work.job(spec).path / "lease.json")
    assert run_request(request(spec), work, lambda: True).state == "stopped"
    process.communicate("")


def test_an_owner_that_stays_is_named(work: WorkFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "LEAVE_SECONDS", 0.3)
    spec = text("a")
    process = orphan(work, work.job(spec).path / "lease.json")
    outcome = run_request(request(spec, label="the text"), work)
    assert (outcome.state, outcome.exit_code) == ("failed", 3)
    assert outcome.reason.startswith(f"the text has one owner at a time, but process {process.pid}")
    process.communicate("")
    assert failure_of(work.job(spec)) is None, "nothing is written beside a living owner"
