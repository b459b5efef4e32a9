"""A training that was stopped, killed or continued ends bit for bit as one that was not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from factories.tiny import (
    COMPUTE,
    StopAfter,
    Tiny,
    lines_of,
    same,
    tiny_experiment,
    values_of,
    weights_at,
)

from harness.jobs.checkpoint import load_state, save_state
from harness.jobs.journal import read_covered
from harness.jobs.spec import Spec

Make = Callable[[Path], tuple[Tiny, Spec]]


def mask_stage(root: Path) -> tuple[Tiny, Spec]:
    tiny = Tiny(root)
    return tiny, tiny.mask()


def image_stage(root: Path) -> tuple[Tiny, Spec]:
    tiny = Tiny(
        root, tiny_experiment(data={"crop": {"frame_px": 128}, "structures": ["structure"]})
    )
    return tiny, tiny.image()


def segmenter(root: Path) -> tuple[Tiny, Spec]:
    tiny = Tiny(root)
    return tiny, tiny.specs.segmenter(tiny.store, "traditional", None, 0)


def segmenter_with_added_pairs(root: Path) -> tuple[Tiny, Spec]:
    tiny = Tiny(root)
    return tiny, tiny.specs.segmenter(tiny.store, "traditional+real:added", None, 0)


EACH = [mask_stage, image_stage, segmenter, segmenter_with_added_pairs]
STAGES = pytest.mark.parametrize("make", EACH)


@STAGES
@pytest.mark.parametrize("updates", [2, 4, 5], ids=["mid-epoch-1", "epoch-end", "mid-epoch-2"])
def test_stopped_and_resumed_is_uninterrupted(make: Make, updates: int, tmp_path: Path) -> None:
    whole, spec = make(tmp_path / "whole")
    straight = whole.must(spec, 1, 3)
    broken, _ = make(tmp_path / "broken")
    outcome = broken.run(spec, 1, 3, stop=StopAfter(updates))
    assert outcome.state == "stopped"
    assert "state is saved" in outcome.reason
    assert broken.run(spec, 1, 3, stop=StopAfter(2)).state == "stopped"
    resumed = broken.must(spec, 1, 3)
    for epoch in (1, 3):
        assert weights_at(resumed, epoch) == weights_at(straight, epoch)
        mine, its = resumed.result(epoch), straight.result(epoch)
        assert mine is not None
        assert its is not None
        assert mine["content"] == its["content"]
    same(values_of(resumed), values_of(straight))


@STAGES
def test_every_update_stopped_is_uninterrupted(make: Make, tmp_path: Path) -> None:
    whole, spec = make(tmp_path / "whole")
    straight = whole.must(spec, 2)
    broken, _ = make(tmp_path / "broken")
    stops = 0
    while broken.run(spec, 2, stop=StopAfter(1)).state == "stopped":
        stops += 1
    assert stops >= 6
    assert weights_at(broken.work.job(spec), 2) == weights_at(straight, 2)
    same(values_of(broken.work.job(spec)), values_of(straight))


def test_bfloat16_resumes_as_exactly(tmp_path: Path) -> None:
    def make(folder: str, precision: str) -> tuple[Tiny, Spec]:
        tiny = Tiny(tmp_path / folder)
        tiny.specs = replace(tiny.specs, compute={**COMPUTE, "precision": precision})
        return tiny, tiny.mask()

    whole, spec = make("whole", "bfloat16")
    straight = whole.must(spec, 2)
    other, coarse = make("other", "float32")
    assert weights_at(straight, 2) != weights_at(other.must(coarse, 2), 2)
    broken, _ = make("broken", "bfloat16")
    assert broken.run(spec, 2, stop=StopAfter(4)).state == "stopped"
    assert weights_at(broken.must(spec, 2), 2) == weights_at(straight, 2)


def test_resuming_goes_on_from_the_state_and_not_from_the_start(tmp_path: Path) -> None:
    # A mark put into the saved state is found in what comes after it.
    tiny, spec = mask_stage(tmp_path / "a")
    plain, _ = mask_stage(tmp_path / "b")
    assert tiny.run(spec, 2, stop=StopAfter(4)).state == "stopped"
    state = load_state(tiny.work.job(spec).state, "cpu")
    assert state is not None
    assert (state["epoch"], state["update"]) == (2, 1)
    state["networks"]["generator"] = {
        name: value + 0.01 if value.is_floating_point() else value
        for name, value in state["networks"]["generator"].items()
    }
    save_state(tiny.work.job(spec).state, state)
    assert weights_at(tiny.must(spec, 2), 2) != weights_at(plain.must(spec, 2), 2)


@STAGES
def test_going_further_later_is_going_straight(make: Make, tmp_path: Path) -> None:
    whole, spec = make(tmp_path / "whole")
    straight = whole.must(spec, 2, 3)
    later, _ = make(tmp_path / "later")
    later.must(spec, 2)
    first = {
        "weights": weights_at(later.work.job(spec), 2),
        **(later.work.job(spec).result(2) or {}),
    }
    continued = later.must(spec, 3)
    assert first["weights"] == weights_at(continued, 2) == weights_at(straight, 2)
    assert continued.result(2) == {k: v for k, v in first.items() if k != "weights"}
    assert weights_at(continued, 3) == weights_at(straight, 3)
    same(values_of(continued), values_of(straight))


def test_two_epochs_and_then_four_are_four(tmp_path: Path) -> None:
    whole, spec = mask_stage(tmp_path / "whole")
    straight = whole.must(spec, 2, 4)
    later, _ = mask_stage(tmp_path / "later")
    later.must(spec, 2)
    continued = later.must(spec, 4)
    assert [weights_at(continued, e) for e in (2, 4)] == [weights_at(straight, e) for e in (2, 4)]


def test_an_earlier_checkpoint_asked_for_later_is_the_one_of_a_straight_run(tmp_path: Path) -> None:
    whole, spec = mask_stage(tmp_path / "whole")
    straight = whole.must(spec, 1, 3)
    later, _ = mask_stage(tmp_path / "later")
    before = lines_of(later.must(spec, 3))
    covered = read_covered(later.work.job(spec).path)
    folder = later.must(spec, 1)
    assert weights_at(folder, 1) == weights_at(straight, 1)
    assert lines_of(folder) == before, "the same values with their first times"
    assert read_covered(folder.path) == covered
    assert weights_at(later.must(spec, 5), 5) == weights_at(whole.must(spec, 5), 5)


@pytest.mark.parametrize("make", [mask_stage, image_stage])
def test_pictures_change_no_weight(make: Make, tmp_path: Path) -> None:
    folders = []
    for cadence in (1, 100):
        tiny, spec = make(tmp_path / str(cadence))
        folders.append(tiny.must(spec, 3, pictures=cadence))
    few, many = (sorted(path.name for path in folder.samples.iterdir()) for folder in folders)
    assert len(few) == 1
    assert len(many) == 3
    assert weights_at(folders[0], 3) == weights_at(folders[1], 3)
    same(values_of(folders[0]), values_of(folders[1]))


def test_pictures_of_a_resumed_training_are_those_of_a_straight_one(tmp_path: Path) -> None:
    whole, spec = mask_stage(tmp_path / "whole")
    straight = whole.must(spec, 3, pictures=100)
    broken, _ = mask_stage(tmp_path / "broken")
    assert broken.run(spec, 3, pictures=100, stop=StopAfter(4)).state == "stopped"
    resumed = broken.must(spec, 3, pictures=100)
    for path in straight.samples.iterdir():
        assert (resumed.samples / path.name).read_bytes() == path.read_bytes()


def test_seeds_differ(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    assert weights_at(tiny.must(tiny.mask(0), 1), 1) != weights_at(tiny.must(tiny.mask(1), 1), 1)


def test_what_the_process_drew_before_does_not_matter(tmp_path: Path) -> None:
    hashes = []
    for seed in (1, 2):
        tiny, spec = image_stage(tmp_path / str(seed))
        torch.manual_seed(seed)
        hashes.append(weights_at(tiny.must(spec, 1), 1))
    assert hashes[0] == hashes[1]


def test_a_killed_training_goes_on_to_the_same_end(tmp_path: Path) -> None:
    # A process of its own, without any warning; the first saved state shortly after the start.
    whole, spec = mask_stage(tmp_path / "whole")
    straight = whole.must(spec, 40)
    broken, _ = mask_stage(tmp_path / "broken")
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path\n"
        "from test_resume import mask_stage\n"
        "import harness.training.fit as fit\n"
        "fit.FIRST_SAVE_SECONDS = fit.LEAST_SAVE_SECONDS = 0.05\n"
        "tiny, spec = mask_stage(Path(sys.argv[1]))\n"
        "tiny.must(spec, 40)\n"
    )
    here = Path(__file__).parent
    paths = [str(here.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "broken"), str(here)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    folder = broken.work.job(spec)
    while not folder.state.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert folder.result(40) is None, "it was killed on the way"
    state = load_state(folder.state, "cpu")
    assert state is not None
    resumed = broken.must(spec, 40)
    assert weights_at(resumed, 40) == weights_at(straight, 40)
    same(values_of(resumed), values_of(straight))
