"""The test is opened once: entered in a file that survives crashes, and whatever comes later with
any of the same patients is an extension."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from factories.tiny import ROLES, Tiny, digest_for, failure_of

from harness.base.errors import RuleError
from harness.base.files import sha256_file
from harness.jobs.context import Context
from harness.jobs.spec import Input, Request, Spec
from harness.work.evaluate.opening import enter


def entry(patients: list[str] | None = None, **changed: str) -> dict[str, Any]:
    return {"patients": patients or ["a", "b"], "rule": "r1", "segmenters": "s1", **changed}


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_first_opening_is_none_extended_and_entered_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "openings.jsonl"
    assert [enter(path, entry()) for _ in range(3)] == [False, False, False]
    assert len(entries(path)) == 1
    assert entries(path)[0].items() >= {**entry(), "extended": False}.items()


@pytest.mark.parametrize("changed", [{"rule": "r2"}, {"segmenters": "s2"}])
def test_another_rule_or_other_segmenters_extend(changed: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "openings.jsonl"
    assert not enter(path, entry())
    assert enter(path, entry(**changed))
    assert enter(path, entry(**changed)), "and stay so when the command is repeated"
    assert not enter(path, entry()), "the first one stays what it was"
    assert [e["extended"] for e in entries(path)] == [False, True]


def test_any_shared_patient_extends_and_strangers_do_not(tmp_path: Path) -> None:
    path = tmp_path / "openings.jsonl"
    assert not enter(path, entry(["a", "b"]))
    assert enter(path, entry(["b", "c"])), "patient b was looked at before"
    assert enter(path, entry(["a"])), "fewer patients are no way around it"
    assert not enter(path, entry(["x", "y"]))


def test_half_a_line_of_a_crash_was_never_entered(tmp_path: Path) -> None:
    path = tmp_path / "openings.jsonl"
    enter(path, entry(["x"]))
    whole = path.read_bytes()
    torn = json.dumps({**entry(rule="other"), "extended": False}).encode()
    for length in (1, 20, len(torn)):
        path.write_bytes(whole + torn[:length])
        assert not enter(path, entry())
        assert [e["patients"] for e in entries(path)] == [["x"], ["a", "b"]]


def test_many_processes_enter_one_after_another(tmp_path: Path) -> None:
    path = tmp_path / "openings.jsonl"
    code = (
        "import sys; from pathlib import Path; from harness.work.evaluate.opening import enter\n"
        "entry = {'patients': ['a'], 'rule': sys.argv[2], 'segmenters': 's'}\n"
        "print(enter(Path(sys.argv[1]), entry))"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path), f"rule {n}"], stdout=subprocess.PIPE, text=True
        )
        for n in range(4)
    ]
    said = [racer.communicate()[0].strip() for racer in racers]
    assert sorted(said) == ["False", "True", "True", "True"]
    assert len(entries(path)) == 4
    first = entries(path)[0]
    assert said[int(first["rule"].split()[1])] == "False"


# --- the jobs -------------------------------------------------------------------------------------


def trained(tiny: Tiny, *arms: str) -> dict[str, Input]:
    found = {}
    for arm in arms:
        spec = tiny.specs.segmenter(tiny.store, arm, None, 0)
        tiny.must(spec, 3)
        found[f"{arm}/0"] = spec.done(3)
    return found


def rule(**changed: Any) -> dict[str, Any]:
    return {"arms": ["none"], "margin": 0.01, **changed}


def opened(tiny: Tiny, spec: Spec) -> dict[str, Any]:
    result = tiny.must(spec).result()
    assert result is not None
    return dict(result["values"])


def test_an_opening_counts_the_test_patients_and_may_be_repeated(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    spec = tiny.specs.opening(tiny.store, trained(tiny, "none"), rule())
    values = opened(tiny, spec)
    assert values["test_patients"] == ROLES.count("test") == 1
    assert values["patients"] == [digest_for("p5")]
    assert values["extended"] is False
    tiny.work.job(spec).clear()  # as if it had been killed between entering and storing
    assert opened(tiny, spec)["extended"] is False
    assert len(entries(tmp_path / "openings.jsonl")) == 1


def test_another_margin_after_opening_is_an_extension(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    segmenters = trained(tiny, "none")
    assert not opened(tiny, tiny.specs.opening(tiny.store, segmenters, rule()))["extended"]
    later = tiny.specs.opening(tiny.store, segmenters, rule(margin=0.001))
    assert opened(tiny, later)["extended"] is True


def test_one_more_segmenter_after_opening_is_an_extension(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    assert not opened(tiny, tiny.specs.opening(tiny.store, trained(tiny, "none"), rule()))[
        "extended"
    ]
    both = trained(tiny, "none", "traditional")
    assert opened(tiny, tiny.specs.opening(tiny.store, both, rule()))["extended"] is True


def test_weights_that_changed_on_disk_are_made_again_before_anything_is_entered(
    tmp_path: Path,
) -> None:
    tiny = Tiny(tmp_path)
    segmenters = trained(tiny, "none")
    path = tiny.work.job(segmenters["none/0"]).at(3) / "weights.safetensors"
    before = sha256_file(path)
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    assert sha256_file(path) != before
    outcome = tiny.run(tiny.specs.opening(tiny.store, segmenters, rule()))
    assert outcome.state == "stale"
    assert outcome.reason == (
        f"'{path}' must be as harness wrote it, but its content changed since"
    )
    assert tiny.work.result(segmenters["none/0"]) is None, "so that it is trained again"
    assert not (tmp_path / "openings.jsonl").exists()


def test_killed_at_any_moment_of_the_opening_it_counts_once(tmp_path: Path) -> None:
    """SIGKILL at moments spread over it, 12 times; what is left goes on as if nothing had been."""
    tiny = Tiny(tmp_path)
    segmenters = trained(tiny, "none")
    register = tmp_path / "openings.jsonl"
    took, kills = 3.0, 0
    for _ in range(100):
        spec = tiny.specs.opening(tiny.store, segmenters, rule(margin=0.01))
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                tiny.run(spec)
            os._exit(0)
        time.sleep(took * kills / 12)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            kills += 1
        else:  # it was faster than was thought
            took *= 0.8
        known = len(entries(register)) if register.exists() else 0
        assert known <= 1
        assert opened(tiny, spec)["extended"] is False
        assert len(entries(register)) == 1
        register.unlink()
        shutil.rmtree(tiny.work.job(spec).path)
        if kills == 12:
            return
    raise AssertionError(f"only {kills} kills came before the end")


# --- damage ---------------------------------------------------------------------------------------


def test_a_register_that_is_lost_is_written_again_from_the_openings(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    segmenters = trained(tiny, "none")
    opened(tiny, tiny.specs.opening(tiny.store, segmenters, rule()))
    register = tmp_path / "openings.jsonl"
    before = entries(register)
    register.unlink()
    outcome = tiny.run(tiny.specs.opening(tiny.store, segmenters, rule(margin=0.001)))
    assert outcome.state == "done"
    assert outcome.reason == (
        f"'{register}' must be as harness wrote it, but lines were missing or could not be read; "
        "it was brought in order from the results of openings"
    )
    known = [{**line, "time": 0} for line in entries(register)]
    assert known[:-1] == [{**line, "time": 0} for line in before]
    assert known[-1]["extended"] is True


@pytest.mark.parametrize(("margin", "extended"), [(0.01, False), (0.001, True)])
def test_an_opening_of_which_only_scores_are_left_is_extended_by_any_but_itself(
    margin: float, extended: bool, tmp_path: Path
) -> None:
    tiny = Tiny(tmp_path)
    segmenters = trained(tiny, "none")
    first = tiny.specs.opening(tiny.store, segmenters, rule())
    opened(tiny, first)
    tiny.must(tiny.specs.test_score(tiny.store, segmenters["none/0"], first))
    shutil.rmtree(tiny.work.job(first).path)
    (tmp_path / "openings.jsonl").unlink()
    again = tiny.specs.opening(tiny.store, segmenters, rule(margin=margin))
    assert opened(tiny, again)["extended"] is extended


def test_after_the_opening_a_segmenter_may_be_made_again_but_into_no_other(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    segmenters = trained(tiny, "none")
    opened(tiny, tiny.specs.opening(tiny.store, segmenters, rule()))
    spec = tiny.specs.segmenter(tiny.store, "none", None, 0)
    folder = tiny.work.job(spec)
    result, weights = folder.result(3), folder.at(3) / "weights.safetensors"
    assert result is not None
    context = Context(Request(spec, (3,)), tiny.work)
    context.finish([weights], result["values"], 3)  # the same weights serve
    again = folder.result(3)
    assert again is not None
    assert again["content"] == result["content"]
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(RuleError, match="after the test was opened none/0 must stay what it was"):
        context.finish([weights], result["values"], 3)


def test_after_the_opening_no_segmenter_changes_with_its_store(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    segmenters = trained(tiny, "none")
    other = tiny.specs.segmenter(tiny.store, "traditional", None, 0)
    tiny.must(other, 3)
    opened(tiny, tiny.specs.opening(tiny.store, segmenters, rule()))
    tiny.prepare(seed=3)  # the store under the same digest now holds other pictures
    named = tiny.specs.segmenter(tiny.store, "none", None, 0)
    outcome = tiny.run(named, 3)
    assert (outcome.state, outcome.exit_code) == ("failed", 2)
    assert outcome.reason == (
        "after the test was opened no segmenter may change, but input 'store' of segmenter did; "
        "restore it, or name another --workdir"
    )
    assert failure_of(tiny.work.job(named)) == outcome.reason
    assert tiny.work.job(named).result(3) is not None, "nothing was dropped"
    assert tiny.run(other, 3).reason == "made again, for input 'store' changed", "not named"
