"""Other ways of using a trained Stage II: asked for at the end of a training, and on the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from factories.fake_executor import FakeExecutor
from factories.sweep import COMPUTE, EXTRACTOR, Sweep, kid

from harness.config.experiment import Experiment
from harness.jobs.graph import JobGraph
from harness.jobs.spec import Request
from harness.report.image_tests import make_tests
from harness.report.picture_budget import PictureBudget
from harness.training.pictures import TESTED, write_png
from harness.work.specs import Specs

MASKS = {"validation": 30.0, "raw": None}


class Hands(FakeExecutor):
    """Gives tests of Stage II an error of 30 HU, one more for each seed, on unseen masks."""

    def values(self, request: Request, epoch: int | None) -> dict[str, Any]:
        if request.spec.kind != "image-test":
            return super().values(request, epoch)
        seed = request.spec.seed % 10
        bands = 2.0 + 10 * (request.spec.config["scale"] == 2)
        scores = {
            name: {"quality/bands_db": bands} | ({"quality/mae_hu": mae + seed} if mae else {})
            for name, mae in MASKS.items()
        }
        path = self.work.job(request.spec).path / TESTED
        write_png(path, np.zeros((128, 256), np.uint8))
        return {"masks": scores}


@pytest.fixture
def tested(tmp_path: Path) -> Sweep:
    sweep = Sweep(tmp_path, stage="image", space={"batch_size": {"values": [6, 12]}}, trials=2)
    plain = sweep.experiment.model_dump(mode="json")
    plain["legacy"] = {"stage_two": [{"scale": 2}], "masks": list(MASKS)}
    plain["mask"]["schedule"]["epochs"] = 7
    plain["image"]["schedule"]["epochs"] = 6
    sweep.experiment = Experiment.model_validate(plain)
    sweep.specs = Specs(sweep.experiment, COMPUTE, EXTRACTOR)
    sweep.hands = Hands(sweep.work, kid)
    return sweep


def test_each_seed_is_tested_at_its_last_epoch_with_masks_of_a_stage_of_its_own(
    tested: Sweep,
) -> None:
    plan = tested.run()
    assert plan.complete
    masks = {}
    for _, seed in plan.seeds():
        *before, usual, large = seed.tests
        assert before == [(epoch, "as trained") for epoch in seed.scores][:-1]
        assert before
        assert [usual, large] == [(6, "as trained"), (6, "size x 2")]
        for (epoch, _), spec in seed.tests.items():
            assert spec.inputs["training"].epoch == epoch
            assert spec.inputs["training"].digest == seed.phases.at(epoch).digest
            made = spec.inputs["mask"]
            assert made.epoch == 7
            masks.setdefault(seed.seed, set()).add(made.digest)
            assert tested.work.job(spec).result() is not None
    assert [len(found) for found in masks.values()] == [1, 1], "trials share the masks of a seed"
    assert len(set.union(*masks.values())) == 2


def test_a_seed_has_not_ended_before_it_was_tested(tested: Sweep) -> None:
    plan = tested.run()
    _, seed = plan.seeds()[0]
    assert seed.ended
    (tested.work.job(seed.tests[6, "size x 2"]).path / "result.json").unlink()
    graph = JobGraph(tested.work)
    _, again = tested.planner.look(graph).seeds()[0]
    assert not again.ended
    assert [request.spec for request in graph.ready()] == [seed.tests[6, "size x 2"]]


@pytest.mark.parametrize("kind", ["image-test", "mask-stage"])
def test_what_does_not_fit_its_device_ends_the_seed_with_its_reason(
    tested: Sweep, kind: str
) -> None:
    tested.hands.too_large = lambda spec: spec.kind == kind
    plan = tested.run()
    assert plan.complete
    assert all(seed.too_large == "a job must fit, but does not" for _, seed in plan.seeds())


def test_without_tests_none_is_asked_for_and_no_mask_stage(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, stage="image", space={"batch_size": {"values": [6]}}, trials=1)
    assert not any(seed.tests for _, seed in sweep.run().seeds())
    assert {kind for kind, _, _ in sweep.hands.done} & {"mask-stage", "image-test"} == set()


def test_the_page_has_the_mean_and_each_seed_of_every_trial(tested: Sweep) -> None:
    plan = tested.run()
    view = make_tests(SimpleNamespace(work=tested.work), plan, PictureBudget())  # type: ignore[arg-type]
    assert view.several
    ways = [(e, "as trained") for e in plan.trials[0].seeds[0].scores] + [(6, "size x 2")]
    assert [(line.trial, line.epoch, line.test, line.masks) for line in view.lines] == [
        (trial, epoch, test, masks)
        for trial in (0, 1)
        for epoch, test in ways
        for masks in ("unseen", "made, as drawn")
    ]
    assert [name.split(" (")[0] for name in view.names] == ["mean absolute error", "repeated bands"]
    assert view.lines[0].cells == ("30.5 (30, 31)", "2 (2, 2)")
    assert view.lines[2 * len(ways) - 1].cells == ("\u2013", "12 (12, 12)")
    assert [picture.caption for picture in view.pictures] == ["as trained", "size x 2"]
    first, second = plan.trials
    bare = replace(first, seeds=tuple(replace(seed, tests={}) for seed in first.seeds))
    plan.trials, plan.best = [bare, second], None
    alone = make_tests(SimpleNamespace(work=tested.work), plan, PictureBudget())  # type: ignore[arg-type]
    assert {line.trial for line in alone.lines} == {1}
    assert "Pictures: trial 1, seed 0" in alone.words
    assert not make_tests(SimpleNamespace(work=tested.work), None, PictureBudget()).lines  # type: ignore[arg-type]
