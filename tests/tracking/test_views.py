"""Plans as MLflow runs: who is below whom, which epochs belong to whom, what is finished."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from factories.report import ARMS, FINISHED, Material, in_memory

from harness.compare.protocol import ComparisonPlan
from harness.config.measures import MEASURES
from harness.inference.decision import decide
from harness.jobs.graph import JobGraph
from harness.sweep.plan import SweepPlan
from harness.sweep.verdicts import Verdicts
from harness.tracking.run_view import RunView
from harness.tracking.store import open_client, resolve
from harness.tracking.sync import MlflowSync
from harness.tracking.views.comparison import comparison_views
from harness.tracking.views.sweep import sweep_views
from harness.tracking.views.verdicts import collapse_view


@pytest.fixture(scope="module")
def material() -> Iterator[Material]:
    with in_memory() as made:
        yield made


@pytest.fixture(scope="module")
def sweep(material: Material) -> SweepPlan:
    return material.sweep("mask", trials=3)


@pytest.fixture(scope="module")
def comparison(material: Material) -> ComparisonPlan:
    return material.comparison(2)


def check(views: Sequence[RunView]) -> dict[tuple[str, ...], RunView]:
    """Views by key; keys are unique and every parent comes before its children."""
    seen: dict[tuple[str, ...], RunView] = {}
    for view in views:
        assert view.key not in seen
        assert view.parent is None or view.parent in seen
        assert view.parent is None or view.key[:-1] == view.parent
        seen[view.key] = view
    return seen


def test_a_sweep_has_trials_and_trials_have_seeds(material: Material, sweep: SweepPlan) -> None:
    views = check(sweep_views(sweep, JobGraph(material.work)))
    kinds = [view.tags["kind"] for view in views.values()]
    assert (kinds.count("sweep"), kinds.count("trial"), kinds.count("seed")) == (1, 3, 6)
    assert all(view.status == "finished" for view in views.values())
    assert sweep.best is not None
    chosen = [view for view in views.values() if view.tags.get("chosen") == "true"]
    assert [view.name for view in chosen] == [f"mask trial {sweep.best.number:03d} (chosen)"]


def test_a_trial_has_its_settings_and_the_means_of_its_seeds(
    material: Material, sweep: SweepPlan
) -> None:
    views = check(sweep_views(sweep, JobGraph(material.work)))
    for run in sweep.trials:
        view = views["sweep-mask", sweep.study, f"trial-{run.trial.number:04d}"]
        rate = run.trial.params["optimiser.learning_rate"]
        assert view.params == {
            "batch_size": str(run.trial.params["batch_size"]),
            "learning_rate": {5e-5: "5e-5", 1e-4: "1e-4", 2e-4: "2e-4"}[rate],
            "epochs": str(run.trial.params["schedule.epochs"]),
        }
        results = [seed.result["values"] for seed in run.seeds if seed.result]
        for name in ("quality/kid", "quality/fid"):
            expected = sum(values[name] for values in results) / len(results)
            assert view.summary[name] == pytest.approx(expected)
        assert view.summary_time == FINISHED * 1000
        assert view.tags["failed_seeds"] == str(run.trial.failed_seeds)


def test_a_seed_shows_its_part_of_the_lineage_and_its_scores(
    material: Material, sweep: SweepPlan
) -> None:
    views = check(sweep_views(sweep, JobGraph(material.work)))
    run = sweep.trials[0]
    view = views["sweep-mask", sweep.study, "trial-0000", "seed-1"]
    training, *scores = view.parts
    assert training.folder == material.work.job(run.seeds[1].training).path
    assert training.until == run.epochs
    assert [part.folder for part in scores] == [
        material.work.job(spec).path for spec in run.seeds[1].scores.values()
    ]
    assert all(part.whole for part in scores)
    assert view.params["seed"] == "1"


def test_what_runs_is_running(material: Material, sweep: SweepPlan) -> None:
    last = sweep.trials[-1]
    running = replace(
        last,
        trial=replace(last.trial, value=None),
        seeds=(last.seeds[0], replace(last.seeds[1], result=None)),
    )
    plan = replace(sweep, trials=[*sweep.trials[:-1], running], finished=False)
    views = check(sweep_views(plan, JobGraph(material.work)))
    states = {view.key[1:]: view.status for view in views.values()}
    study = plan.study
    assert states[study,] == "running"
    assert states[study, "trial-0002"] == "running"
    assert states[study, "trial-0002", "seed-0"] == "finished"
    assert states[study, "trial-0002", "seed-1"] == "running"
    assert states[study, "trial-0000"] == "finished"
    assert views["sweep-mask", study, "trial-0002"].summary == {}
    assert not any("chosen)" in view.name for view in views.values())


def test_a_score_without_a_number_makes_its_mean_none(material: Material, sweep: SweepPlan) -> None:
    run = sweep.trials[0]
    result = run.seeds[0].result
    assert result is not None
    hole = {**result, "values": {**result["values"], "quality/kid": None}}
    seeds = (replace(run.seeds[0], result=hole), run.seeds[1])
    plan = replace(sweep, trials=[replace(run, seeds=seeds)])
    view = sweep_views(plan, JobGraph(material.work))[1]
    assert math.isnan(view.summary["quality/kid"])
    assert math.isfinite(view.summary["quality/fid"])


def test_a_comparison_has_replicates_with_stages_and_arms(
    material: Material, comparison: ComparisonPlan, tmp_path: Path
) -> None:
    page = tmp_path / "index.html"
    table = material.table(["a", "b", "c"], comparison)
    effects = decide(table, material.experiment.decision)
    views = check(comparison_views(comparison, JobGraph(material.work), effects, page))
    top = views["comparison",]
    assert top.params == {"objective": "test/dice", "direction": "maximize"}
    by_distance = comparison_views(
        comparison, JobGraph(material.work), effects, page, MEASURES["hd95_mm"]
    )
    assert by_distance[0].params == {"objective": "test/hd95_mm", "direction": "minimize"}
    assert top.artifacts == ((page, "report"),)
    assert top.note == "\n\n".join(effect.sentence for effect in effects)
    assert len(views) == 1 + len(ARMS) + 2 * (1 + 2 + len(ARMS))
    for planned in comparison.replicates:
        key = ("comparison", f"replicate-{planned.seed}")
        assert views[key].params == {"seed": str(planned.seed)}
        names = {view.key[-1] for view in views.values() if view.parent == key}
        assert names == {"mask stage", "image stage", *(f"segmenter {arm}" for arm in ARMS)}
        stage = views[*key, "mask stage"]
        assert stage.params == {
            "seed": str(planned.seed), "batch_size": "12", "width": "64",
            "learning_rate": "2e-4",
        }  # fmt: skip
        arm = views[*key, "segmenter gan"]
        assert (arm.params["extra_pairs"], arm.params["augmented"]) == ("gan", "False")
    assert all(view.status == "finished" for view in views.values())


def test_a_comparison_under_way(material: Material, comparison: ComparisonPlan) -> None:
    """The second replicate has no segmenter of one arm yet."""
    replicate = comparison.replicates[1]
    spec = replicate.segmenters["gan"]
    missing = replace(spec, seed=spec.seed + 5000)
    replicate = replace(replicate, segmenters={**replicate.segmenters, "gan": missing})
    plan = ComparisonPlan([comparison.replicates[0], replicate])
    views = check(comparison_views(plan, JobGraph(material.work), (), None))
    running = {view.key for view in views.values() if view.status == "running"}
    assert running == {
        ("comparison",),
        *(("comparison", f"arm {arm}") for arm in ARMS),
        ("comparison", "replicate-1000"),
        ("comparison", "replicate-1001"),
        ("comparison", "replicate-1001", "segmenter gan"),
    }
    assert views["comparison",].artifacts == ()


def test_scores_of_the_test_are_metrics_once_it_was_opened(
    material: Material, comparison: ComparisonPlan, tmp_path: Path
) -> None:
    """Patients a and b; the second replicate's HD95 of b is 7 mm, and no volume error of b exists.
    Test jobs that are only planned show nothing, however the opening stands."""
    planned = {key: replace(spec, seed=spec.seed + 9000) for key, spec in comparison.tests.items()}
    before = replace(comparison, opening=None, tests={}, finished=False)
    mlflow_sync = MlflowSync(tmp_path, "tiny", None)
    client = open_client(resolve(tmp_path, None))
    for plan in (before, replace(before, opening=comparison.opening, tests=planned)):
        mlflow_sync.sync(comparison_views(plan, JobGraph(material.work), (), None))
        assert not any("test" in name for run in runs(client) for name in run.data.metrics)
    mlflow_sync.sync(comparison_views(comparison, JobGraph(material.work), (), None))
    found = {run.data.tags["harness.key"]: run.data.metrics for run in runs(client)}
    for arm, dice in (("none", 0.72), ("traditional", 0.75), ("traditional+gan", 0.762)):
        for seed, hd95 in ((1000, 5.0), (1001, 5.5)):
            one = found[f"comparison/replicate-{seed}/segmenter {arm}"]
            assert one["test/dice"] == pytest.approx(dice)
            assert one["test/hd95_mm"] == pytest.approx(hd95)
            assert math.isnan(one["test/volume_error_ml"])
        mean = found[f"comparison/arm {arm}"]
        assert mean["test/dice"] == pytest.approx(dice)
        assert mean["test/hd95_mm"] == pytest.approx(5.25)
        assert mean["test/surface_dice"] == pytest.approx(0.85)
    assert not any("test" in n for k, m in found.items() if "stage" in k for n in m)
    # People sort the arms by it.
    (experiment,) = client.search_experiments(filter_string="name = 'tiny'")
    state = json.loads(experiment.tags["mlflow.sharedViewState.arms-leaderboard"])
    order = f"{state['orderByKey']} {'ASC' if state['orderByAsc'] else 'DESC'}"
    ordered = client.search_runs(
        [experiment.experiment_id], state["searchFilter"], order_by=[order]
    )
    assert [run.info.run_name for run in ordered] == [
        "arm traditional+gan", "arm duplicate", "arm traditional", "arm gan", "arm none",
    ]  # fmt: skip


def test_an_arm_has_no_mean_before_every_replicate_has_its_score(
    material: Material, comparison: ComparisonPlan
) -> None:
    tests = {key: spec for key, spec in comparison.tests.items() if key != ("gan", 1001)}
    views = check(
        comparison_views(replace(comparison, tests=tests), JobGraph(material.work), (), None)
    )
    assert set(views["comparison", "arm gan"].summary) == {"validation/dice"}
    assert "test/dice" in views["comparison", "arm none"].summary
    ready = [
        key[1] for key, view in views.items() if key[2:] == ("segmenter gan",) and view.summary
    ]
    assert ready == ["replicate-1000"]


def runs(client: Any) -> list[Any]:
    found = client.get_experiment_by_name("tiny")
    return list(client.search_runs([found.experiment_id]))


# --- collapse -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def verdicts(material: Material, sweep: SweepPlan) -> Verdicts:
    return material.verdicts(sweep)


def test_a_seed_is_found_by_its_verdict(material: Material, sweep: SweepPlan) -> None:
    """Trial 1 failed, trial 2's second seed lost some of its diversity."""
    views = check(sweep_views(sweep, JobGraph(material.work)))
    found = {view.key[2:]: view.tags for view in views.values() if view.tags["kind"] == "seed"}
    words = {key: tags["verdict"] for key, tags in found.items()}
    assert words["trial-0001", "seed-0"] == "convergence failure"
    assert words["trial-0002", "seed-0"] == "healthy"
    assert words["trial-0002", "seed-1"] == "partial collapse"
    assert found["trial-0002", "seed-1"]["because"].startswith("Partial collapse: ")


def test_a_seed_without_a_score_has_no_verdict(material: Material, sweep: SweepPlan) -> None:
    run = sweep.trials[0]
    plan = replace(sweep, trials=[replace(run, seeds=(replace(run.seeds[0], result=None),))])
    view = sweep_views(plan, JobGraph(material.work))[-1]
    assert "verdict" not in view.tags


def test_the_verdicts_of_a_stage_are_a_run(verdicts: Verdicts, tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    view = collapse_view(verdicts, [(page, "report")])
    assert (view.key, view.name, view.parent) == (("collapse-mask",), "collapse mask", None)
    assert view.note == verdicts.sentence
    assert view.artifacts == ((page, "report"),)
    assert view.status == "finished"
    assert view.summary_time == FINISHED * 1000
    # Every verdict has a count, so that a later one can lower it.
    assert {name: value for name, value in view.summary.items() if "share" not in name} == {
        "collapse/convergence_failure": 2.0,
        "collapse/mode_collapse": 0.0,
        "collapse/partial_collapse": 1.0,
        "collapse/healthy": 3.0,
        "collapse/undecided": 0.0,
    }
    assert view.summary["collapse/share_epochs_10"] == 1 / 4
    assert view.summary["collapse/share_epochs_20"] == 1.0


def test_counts_that_are_no_rates_have_no_shares(material: Material, sweep: SweepPlan) -> None:
    found = material.verdicts(sweep, "tpe")
    view = collapse_view(found)
    assert not any("share" in name for name in view.summary)
    assert view.note == f"{found.sentence} {found.caution}"
    assert view.artifacts == ()


def test_the_verdicts_reach_mlflow_and_follow_later_ones(
    material: Material, sweep: SweepPlan, tmp_path: Path
) -> None:
    page, sheet = tmp_path / "index.html", tmp_path / "samples-mask.png"
    page.write_text("<p>verdicts</p>")
    sheet.write_bytes(b"png")
    files = [(page, "report"), (sheet, "samples")]
    early = material.verdicts(replace(sweep, trials=sweep.trials[:2]))
    for found in (early, material.verdicts(sweep)):
        mlflow_sync = MlflowSync(tmp_path / "work", "tiny", None)
        mlflow_sync.sync([collapse_view(found, files)])
    client = open_client(resolve(tmp_path / "work", None))
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "collapse mask"
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.note.content"] == found.sentence
    assert run.data.metrics["collapse/partial_collapse"] == 1.0
    assert run.data.metrics["collapse/share_epochs_10"] == 0.25
    for folder, name in (("report", "index.html"), ("samples", "samples-mask.png")):
        listed = [file.path for file in client.list_artifacts(run.info.run_id, folder)]
        assert listed == [f"{folder}/{name}"]
