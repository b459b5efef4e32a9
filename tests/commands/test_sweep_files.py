"""Files about a sweep, and what its runs in MLflow carry and say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import yaml
from factories.report import Material, in_memory
from PIL import Image

from harness.base.console import Console
from harness.commands.session import Session
from harness.commands.sweep_files import SweepFiles
from harness.config.experiment import Experiment
from harness.jobs.graph import JobGraph
from harness.sweep.plan import SweepPlan
from harness.tracking.run_view import RunView
from harness.tracking.views.sweep import WEIGHTS_BYTES, sweep_views


@pytest.fixture(scope="module")
def material() -> Iterator[Material]:
    with in_memory() as made:
        yield made


@pytest.fixture(scope="module")
def sweep(material: Material) -> SweepPlan:
    return material.sweep("mask", trials=4)


@pytest.fixture(scope="module")
def session(material: Material) -> Session:
    return Session(material.experiment, material.work.root, Console())


@pytest.fixture(scope="module")
def files(session: Session, sweep: SweepPlan) -> SweepFiles:
    made = SweepFiles(session, "mask")
    made.update(sweep, last=True)
    return made


def shown(views: list[RunView]) -> dict[str, RunView]:
    return {view.key[-1]: view for view in views}


def test_a_finished_sweep_leaves_figures_samples_and_settings(files: SweepFiles) -> None:
    names = {path.name for path in files.folder.iterdir()}
    assert names == {
        "drawn.json", "history.png", "parallel.png", "samples-by-setting.png", "settings.yaml",
        "slices.png",
    }  # fmt: skip
    with Image.open(files.folder / "samples-by-setting.png") as picture:
        assert 300 < picture.width <= 1600


def test_the_settings_are_a_section_of_an_experiment(files: SweepFiles, sweep: SweepPlan) -> None:
    text = (files.folder / "settings.yaml").read_text()
    read = Experiment.model_validate({"name": "again", **yaml.safe_load(text)})
    assert sweep.best is not None
    chosen = next(run for run in sweep.trials if run.trial.number == sweep.best.number)
    assert read.mask == chosen.settings
    assert f"Trial {sweep.best.number} of study mask-study, KID" in text.splitlines()[0]


def test_what_is_drawn_already_is_left_alone_until_a_trial_is_told(
    files: SweepFiles, session: Session, sweep: SweepPlan
) -> None:
    history = files.folder / "history.png"
    before = history.stat().st_mtime_ns
    SweepFiles(session, "mask").update(sweep, last=True)
    assert history.stat().st_mtime_ns == before
    fewer = replace(sweep, trials=sweep.trials[:-1])
    SweepFiles(session, "mask").update(fewer, last=True)
    assert history.stat().st_mtime_ns > before
    SweepFiles(session, "mask").update(sweep, last=True)


def test_a_sweep_that_just_began_is_not_slowed(material: Material, sweep: SweepPlan) -> None:
    root = material.work.root
    other = material.experiment.model_copy(update={"name": "other"})
    young = SweepFiles(Session(other, root, Console()), "mask")
    young.update(sweep)
    assert not young.folder.exists()


def test_a_sweep_without_a_told_trial_has_no_files(material: Material, sweep: SweepPlan) -> None:
    waiting = [replace(run, trial=replace(run.trial, value=None)) for run in sweep.trials]
    other = material.experiment.model_copy(update={"name": "waiting"})
    files = SweepFiles(Session(other, material.work.root, Console()), "mask")
    files.update(replace(sweep, trials=waiting, best=None, finished=False), last=True)
    assert not files.folder.exists()


def test_the_run_of_a_sweep_says_what_was_found(
    material: Material, files: SweepFiles, sweep: SweepPlan
) -> None:
    top = sweep_views(sweep, JobGraph(material.work), files.folder)[0]
    assert {path.name for path, _ in top.artifacts} == {
        "history.png", "parallel.png", "samples-by-setting.png", "slices.png",
    }  # fmt: skip
    assert {folder for _, folder in top.artifacts} == {"sweep"}
    assert sweep.best is not None
    assert top.summary == {
        "sweep/trials": 4.0,
        "sweep/failed_trials": 1.0,
        "quality/kid": sweep.best.value,
    }
    best, _, rest = top.note.partition("); ")
    kid = f"{sweep.best.value:.3g}"
    assert best.startswith(f"Lowest KID {kid}: trial {sweep.best.number} (batch size ")
    assert rest.startswith(
        "search of the mask stage for the lowest KID on validation patients; 4 trials finished, 1 "
        "with a failed seed; figures "
    )
    assert top.note.count(". ") == 0


def test_the_chosen_trial_can_be_reused(
    material: Material, files: SweepFiles, sweep: SweepPlan
) -> None:
    assert sweep.best is not None
    run = next(r for r in sweep.trials if r.trial.number == sweep.best.number)
    scored = run.seeds[0].scores[run.epochs].inputs["training"]
    weights = material.work.job(scored).at(scored.epoch) / "weights.safetensors"
    weights.write_bytes(b"small")
    key = f"trial-{sweep.best.number:04d}"
    best = shown(sweep_views(sweep, JobGraph(material.work), files.folder))[key]
    assert best.tags["weights seed 0"] == f"mask-stage/{scored.digest}"
    assert best.tags["weights seed 0 epoch"] == str(run.epochs)
    carried = {folder: path for path, folder in best.artifacts}
    assert carried["settings"] == files.folder / "settings.yaml"
    assert carried["samples/seed-1"].name == f"samples-{run.epochs:06d}.png"
    assert carried["weights/seed-0"] == weights
    assert best.note.endswith("; chosen.")

    with open(weights, "r+b") as file:
        file.truncate(WEIGHTS_BYTES)  # a file of zeros that takes no room
    best = shown(sweep_views(sweep, JobGraph(material.work), files.folder))[key]
    assert "weights/seed-0" not in {folder for _, folder in best.artifacts}
    assert best.tags["weights seed 0"]
    weights.unlink()


def test_only_the_chosen_trial_carries_files(
    material: Material, files: SweepFiles, sweep: SweepPlan
) -> None:
    views = sweep_views(sweep, JobGraph(material.work), files.folder)
    carrying = [view.key[-1] for view in views[1:] if view.artifacts]
    assert sweep.best is not None
    assert carrying == [f"trial-{sweep.best.number:04d}"]
    running = sweep_views(replace(sweep, finished=False), JobGraph(material.work), files.folder)
    assert not [view for view in running[1:] if view.artifacts]


def test_trials_and_seeds_have_a_sentence_and_a_verdict(
    material: Material, sweep: SweepPlan
) -> None:
    views = shown(sweep_views(sweep, JobGraph(material.work)))
    failed = views["trial-0001"]
    assert failed.tags["verdict"] == "convergence failure"
    assert failed.note.endswith("; 2 seeds failed, so it cannot be chosen.")
    assert views["trial-0002"].tags["verdict"] == "1 partial collapse, 1 healthy"
    notes = [
        v.note for v in sweep_views(sweep, JobGraph(material.work)) if v.tags["kind"] == "seed"
    ]
    assert notes[0].startswith("Seed 0 of trial 0 (batch size 6, learning rate 5e-5, epochs 10): ")
    assert notes[0].endswith(" at epoch 10; healthy.")


def test_what_is_under_way_says_so(material: Material, sweep: SweepPlan) -> None:
    last = sweep.trials[-1]
    seeds = (last.seeds[0], replace(last.seeds[1], result=None))
    running = replace(last, trial=replace(last.trial, value=None), seeds=seeds)
    plan = replace(sweep, trials=[*sweep.trials[:-1], running], finished=False)
    views = sweep_views(plan, JobGraph(material.work))
    assert views[-1].note.endswith(": under way.")
    assert shown(views)["trial-0003"].note.endswith(": under way, 1 of 2 seeds ended.")
    assert "verdict" not in shown(views)["trial-0003"].tags
