"""What sweeps choose, what a comparison then uses, and what a report gathers on the way."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.fake_executor import FakeExecutor
from factories.finished import write_scores
from factories.openkbp import write_experiment, write_openkbp

from harness.base.console import Console
from harness.base.errors import ConfigError, DataError
from harness.base.files import write_text
from harness.commands import steps
from harness.commands.chosen_settings import choice, finished_sweeps, need_validation, stage_sweep
from harness.commands.gather import gather
from harness.commands.session import Session
from harness.config.load import load_experiment
from harness.data.pairs.store import PairRow, write_store
from harness.jobs.spec import Spec
from harness.metrics.segmentation.structure_scores import MEASURES
from harness.report.answer import make_answer
from harness.report.picture_budget import PictureBudget
from harness.sweep.chosen import read_chosen, write_chosen
from harness.tracking.views.sweep import sweep_views


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_openkbp(tmp_path_factory.mktemp("openkbp"))


class Work:
    """A work folder whose trainings are done by a stand-in; sessions come and go."""

    def __init__(self, root: Path, patients: Path) -> None:
        self.file = write_experiment(root / "tiny.yaml", patients)
        self.root = root / "work"
        self.said = io.StringIO()
        self.kid: Callable[[Any], float | None] = lambda config: float(config["batch_size"])
        self.converges = True
        self.too_large: Callable[[Spec], bool] = lambda spec: False
        self.prepared = False

    def session(self, *changes: str) -> Session:
        experiment = load_experiment(self.file, list(changes))
        session = Session(experiment, self.root, Console(stream=self.said), engine="inline")
        store = session.work.job(session.store)
        if store.result() is None:  # planners read its result alone
            store.open(session.store)
            store.finish([], {"patients": {}, "pairs": {}, "lost": {}}, {}, {"seconds": 0.0}, {})
            self.pairs(session, store.path / "store")
        return session

    def pairs(self, session: Session, folder: Path) -> None:
        """As much of a store as the opening and the count of what trainings saw read."""
        patients = [{"digest": digest, "role": role} for digest, role in session.roles.items()]
        rows = [
            replace(PairRow.synthetic(number, 9), patient_digest=digest, role=role)
            for number, (digest, role) in enumerate(session.roles.items())
        ]
        empty = np.zeros((len(rows), 1, 8, 8), np.float32)
        meta = {"patients": patients, "channels": ["parotid"]}
        write_store(folder, empty, empty.astype(np.uint8), rows, meta)

    def hands(self, session: Session) -> FakeExecutor:
        def score(config: Any, seed: int, epoch: int) -> dict[str, Any]:
            return {"quality/kid": self.kid(config), "converged": self.converges}

        return FakeExecutor(
            session.work,
            score,
            lambda spec: {"converged": self.converges},
            too_large=lambda spec: self.too_large(spec),
        )

    def sweep(self, *stages: str, changes: tuple[str, ...] = ()) -> dict[str, Any]:
        """Sweep by the stand-in, then the real step, which only chooses; what is chosen then."""
        session = self.session(*changes)
        for stage in stages:
            planner = stage_sweep(session, stage)
            self.hands(session).drive(planner.plan)
        steps.sweep(session, stages)
        return read_chosen(session.home) or {}

    def versions(self) -> list[str]:
        return sorted(path.name for path in (self.root / "experiments").rglob("chosen-*.yaml"))


@pytest.fixture(scope="module")
def patient_index(patients: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What looking at the patients found, to be read again by every test."""
    folder = tmp_path_factory.mktemp("looked")
    experiment = load_experiment(write_experiment(folder / "tiny.yaml", patients))
    assert len(Session(experiment, folder, Console(quiet=True)).patient_index.usable) == 5
    return folder / "patient-index"


@pytest.fixture
def work(patients: Path, patient_index: Path) -> Iterator[Work]:
    """In memory: hundreds of small results would wait for the disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        made = Work(Path(name), patients)
        shutil.copytree(patient_index, made.root / "patient-index")
        yield made


def test_the_best_of_both_stages_is_chosen(work: Work) -> None:
    chosen = work.sweep("mask", "image")
    assert chosen["mask"]["params"] == {"batch_size": 6}
    assert chosen["image"]["params"] == {"batch_size": 4}
    assert chosen["mask"]["quality/kid"] == 6.0
    settled = choice(work.session())
    assert (settled.mask.batch_size, settled.image.batch_size) == (6, 4)
    assert settled.mask.width == 4
    assert (
        settled.origin["mask"]
        == f"trial {chosen['mask']['trial']} of study " + (chosen["mask"]["study"])
    )


def test_before_any_sweep_the_experiments_own_settings_count(work: Work) -> None:
    settled = choice(work.session())
    assert (settled.mask.batch_size, settled.image.batch_size) == (12, 8)
    assert settled.origin["mask"] == settled.origin["image"] == "the experiment's own settings"
    assert settled.of_arm == {}
    assert (
        settled.origin["segmentation"]
        == "the experiment's own settings of the segmenter, in every arm"
    )


def test_a_sweep_of_one_stage_keeps_the_choice_of_the_other(work: Work) -> None:
    both = work.sweep("mask", "image")
    again = work.sweep("mask")
    assert again == both
    assert work.versions() == ["chosen-001.yaml"]
    # The image stage's sweep is not finished under a larger number of trials: its choice stays.
    longer = ("sweep.image.trials=2", "sweep.image.space.batch_size.values=[2, 4]")
    work.kid = lambda config: -float(config["batch_size"])
    other = work.sweep("mask", changes=("sweep.seed=1", *longer))
    assert other["image"] == both["image"]
    assert other["mask"]["params"] == {"batch_size": 6}  # the same trainings, read again
    assert work.versions() == ["chosen-001.yaml", "chosen-002.yaml"]


def test_a_stage_where_everything_failed_uses_the_experiments_own_settings(work: Work) -> None:
    work.converges = False
    assert work.sweep("mask") == {}
    assert work.versions() == []
    assert "every trial of the mask sweep had a seed that failed; " in (work.said.getvalue())
    assert choice(work.session()).origin["mask"] == "the experiment's own settings"


def test_a_choice_of_another_question_is_said_to_be_one(work: Work) -> None:
    work.sweep("mask", "image")
    changed = choice(work.session("mask.width=8"))
    assert changed.mask.width == 4
    assert changed.origin["mask"].endswith(
        ", whose data, settings or search space differ from the experiment's"
    )
    assert "differ" not in changed.origin["image"]
    more = choice(work.session("sweep.mask.trials=1"))
    assert "differ" not in more.origin["mask"]


TUNED = "sweep.segmentation={space: {augmentation.magnitude: {values: [2, 4]}}}"


def tried(baseline: float, candidate: float) -> dict[str, Any]:
    """Choices as `chosen.yaml` has them, made under some other settings."""

    def arm(value: float) -> dict[str, Any]:
        path = "augmentation.magnitude"
        rungs = [{"updates": 30, "validation_dice": 0.7, "seeds": [0.7]}]
        settings: list[dict[str, float]] = [{}, {path: value}]
        return {
            "chosen": {path: value},
            "lead": [0.01, 0.02],
            "candidates": [{"settings": each, "rungs": rungs} for each in settings],
        }

    arms = {"traditional": arm(baseline), "traditional+gan": arm(candidate)}
    return {"base": "other", "arms": arms}


def test_each_arm_trains_under_what_it_or_the_arm_it_controls_chose(work: Work) -> None:
    session = work.session(TUNED, "arms=[none, traditional, gan, traditional+gan, duplicate]")
    write_chosen(session.home, {"segmentation": tried(2.0, 4.0)})
    settled = choice(session)
    strength = {arm: settings.augmentation.magnitude for arm, settings in settled.of_arm.items()}
    assert (strength["traditional"], strength["traditional+gan"]) == (2.0, 4.0)
    assert (strength["none"], strength["gan"], strength["duplicate"]) == (2.0, 4.0, 4.0)
    words = settled.origin["segmentation"]
    assert words.startswith("traditional: magnitude 2; traditional+gan: magnitude 4 (by validation")
    assert "among 2 settings each" in words
    assert words.endswith("`harness sweep` chooses again")
    planned = settled.replicates(session)
    spec = planned.specs.segmenter(
        session.store, "duplicate", None, 0, planned.settings_of("duplicate")
    )
    assert spec.config["augmentation"]["magnitude"] == 4.0


def test_a_choice_by_arms_that_are_not_compared_is_not_used(work: Work) -> None:
    session = work.session(TUNED)
    entry = tried(2.0, 4.0)
    entry["arms"]["gan"] = entry["arms"].pop("traditional+gan")
    write_chosen(session.home, {"segmentation": entry})
    assert choice(session).of_arm == {}
    assert "not by all that are compared" in choice(session).origin["segmentation"]
    write_chosen(session.home, {"segmentation": {"base": "x", "magnitude": {"chosen": 2.0}}})
    assert choice(session).of_arm == {}
    assert "an earlier version's choice is not used" in choice(session).origin["segmentation"]


def test_the_page_shows_the_candidates_of_the_choice_that_counts(work: Work) -> None:
    session = work.session(TUNED)
    assert gather(session).candidates == {}
    write_chosen(session.home, {"segmentation": tried(4.0, 2.0)})
    shown = gather(work.session(TUNED))
    assert shown.candidates["traditional"]["chosen"] == {"augmentation.magnitude": 4.0}
    assert len(shown.candidates["traditional+gan"]["candidates"]) == 2
    assert "chosen under data or settings" in shown.origin["segmentation"]
    assert gather(work.session("sweep.segmentation=null")).candidates == {}


def test_a_dry_run_refuses_what_the_sweep_would(work: Work) -> None:
    session = work.session("data.roles={by: random, validation: 0, test: 0.4}")
    with pytest.raises(DataError, match="segmenters' settings needs validation patients"):
        need_validation(session)
    need_validation(work.session())


def test_too_few_validation_pairs_are_said_before_a_score_refuses(work: Work) -> None:
    (said,) = steps.validation_words(work.session())
    assert "need at least 2 validation pairs that hold the structure, but there is 1: " in said
    two = work.session("data.roles={by: random, validation: 0.4, test: 0.2}")
    assert steps.validation_words(two) == []


def test_a_stage_whose_sweep_was_taken_out_is_not_chosen_for(work: Work) -> None:
    work.sweep("mask", "image")
    assert choice(work.session("sweep.mask=null")).mask.batch_size == 12


def test_a_sweep_of_a_stage_without_space_is_refused(work: Work) -> None:
    with pytest.raises(ConfigError, match=r"a sweep of the mask stage needs sweep\.mask"):
        stage_sweep(work.session("sweep.mask=null"), "mask")


def test_looking_at_sweeps_asks_no_trial(work: Work) -> None:
    session = work.session()
    assert finished_sweeps(session) == []
    stage_sweep(session, "mask")  # makes the study
    assert finished_sweeps(session) == []
    assert stage_sweep(session, "mask").study.trials() == []
    work.sweep("mask")
    (plan,) = finished_sweeps(work.session())
    assert (plan.stage, plan.finished, len(plan.trials)) == ("mask", True, 2)
    # Another experiment in the same folder sees none of it.
    assert finished_sweeps(work.session("mask.width=8")) == []


def test_a_stage_is_told_before_the_next_one_begins(work: Work) -> None:
    work.sweep("mask", "image")
    work.said.truncate(0)
    heard: list[tuple[str, bool]] = []
    steps.sweep(
        work.session(),
        ("mask", "image"),
        lambda plan: heard.append((plan.stage, "of the image stage" in work.said.getvalue())),
    )
    assert heard == [("mask", False), ("image", True)]


def test_a_trial_that_does_not_fit_has_failed_runs_that_say_why(work: Work) -> None:
    work.too_large = lambda spec: spec.kind == "mask-stage" and spec.config["batch_size"] == 12
    assert work.sweep("mask")["mask"]["params"] == {"batch_size": 6}
    session = work.session()
    (plan,) = finished_sweeps(session)
    (large,) = [run for run in plan.trials if run.trial.params["batch_size"] == 12]

    views = {view.key[2:]: view for view in sweep_views(plan, session.graph())}
    name = f"trial-{large.trial.number:04d}"
    assert views[(name,)].status == "finished"
    assert views[(name,)].tags["verdict"] == "out of memory"
    for seed in range(len(large.seeds)):
        view = views[name, f"seed-{seed}"]
        assert view.status == "failed"
        assert view.tags["verdict"] == "out of memory"
        assert view.note.endswith(": a job must fit, but does not.")


# --- the comparison as a report sees it -----------------------------------------------------


def compare(work: Work, session: Session, passes: int = 1000) -> Any:
    planner = steps.comparison_of(session, choice(session))
    return work.hands(session).drive(planner.plan, passes)


def test_a_comparison_is_seen_once_it_has_begun(work: Work) -> None:
    session = work.session()
    assert steps.begun_comparison(session) is None
    assert gather(session).comparison is None
    compare(work, session, passes=1)
    begun = gather(work.session())
    assert begun.comparison is not None
    assert not begun.comparison.finished
    assert (begun.table, begun.effects) == (None, ())


def test_a_finished_comparison_is_gathered_with_its_table(work: Work) -> None:
    session = work.session()
    plan = compare(work, session)
    for (arm, seed), spec in plan.tests.items():
        gain = 0.01 if arm == "traditional+gan" else 0.0
        others = "," * (len(MEASURES) - 1)
        write_scores(
            session.work.job(spec),
            f"pt_5,aa,parotid_left,0.5{others}",
            f"pt_5,aa,mean,{0.25 + gain + seed / 10_000}{others}",
        )
    data = gather(work.session())
    assert data.comparison is not None
    assert data.comparison.finished
    assert data.table is not None
    assert data.table.patients == ("pt_5",)
    (effect,) = data.effects
    assert (effect.inference.status, round(effect.inference.mean, 9)) == ("cells only", 0.01)
    real, replaced = (data.exposures[arm] for arm in ("traditional", "traditional+gan"))
    assert (real.real_passes, real.synthetic_pairs) == (2 * replaced.real_passes, 0)
    slices = list(session.roles.values()).count("train")  # one a patient; half of a batch is real
    assert replaced.synthetic_pairs == pytest.approx(replaced.real_passes * slices)
    assert not data.superseded
    write_text(session.home / "scores.csv", data.table.to_csv())  # as `compare` leaves it
    other = gather(work.session("segmentation.updates=7"))
    assert (other.table, other.superseded) == (None, True)
    assert make_answer(other, PictureBudget()).headline.startswith(
        "No answer under these settings: the test"
    )
    assert data.ledger["segmenter"] == {"jobs": 4, "seconds": 4.0}
    assert {line.role for line in data.patients} == {"train", "validation", "test"}


def test_a_report_is_possible_where_no_comparison_can_be(work: Work) -> None:
    """Others in the same folder may have compared; this experiment cannot."""
    compare(work, work.session())
    for change in ("mask.learns=ct", "data.roles={by: random, validation: 0.2, test: 0}"):
        data = gather(work.session(change))
        assert data.patients
        assert data.comparison is None
    session = work.session("mask.learns=ct")
    with pytest.raises(ConfigError, match="needs masks from the mask stage"):
        steps.comparison_of(session, choice(session))


def test_what_is_gathered_names_no_folder(work: Work, patients: Path) -> None:
    data = gather(work.session())
    text = repr((data.config, data.provenance, data.patients, data.mlflow))
    assert str(patients) not in text
    assert str(work.root.parent) not in text
    assert dict(data.provenance)["compute"].endswith("1 thread a worker")


@pytest.mark.parametrize(
    "changes",
    [
        ("image.patients=99",),
        ("mask.patients=99",),
        ("sweep.mask.trials=2", "sweep.mask.space={patients: {values: [1, 99]}}"),
        ("sweep.image={trials: 1, space: {patients: {low: 1, high: 99, integer: true}}}",),
    ],
)
def test_more_patients_than_train_are_refused_before_pairs_are_cut(
    work: Work, changes: tuple[str, ...]
) -> None:
    session = work.session(*changes)
    there = sum(role == "train" for role in session.roles.values())
    with pytest.raises(ConfigError, match=f"at most the {there} patients that train, but got 99"):
        steps.prepare(session)
