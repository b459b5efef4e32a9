from __future__ import annotations

import dataclasses
import json
import math
import shutil
from pathlib import Path

import pytest

from harness.jobs.journal import Journal
from harness.tracking.run_view import JournalPart, RunView
from harness.tracking.store import open_client, resolve
from harness.tracking.sync import MlflowSync

SWEEP = ("sweep-mask",)
TRIAL = ("sweep-mask", "trial-003")
SEED = ("sweep-mask", "trial-003", "seed-1")


def runs(workdir, experiment="demo"):
    """Runs by key, through MLflow's own client."""
    client = open_client(resolve(workdir, None))
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    by_key = {run.data.tags["harness.key"]: run for run in found}
    assert len(by_key) == len(found), "a key stands twice"
    return by_key


def seed_view(job, **changes):
    plain = RunView(SEED, "seed 1", TRIAL, parts=(JournalPart(job.folder),))
    return dataclasses.replace(plain, **changes)


@pytest.fixture
def trained(job):
    """Five epochs of two curves, all covered."""
    made = job("a" * 24)
    for epoch in range(1, 6):
        made.log(epoch, train__d_loss=1.0 / epoch, train__g_loss=float(epoch))
    made.cover(5)
    return made


def test_a_replay_from_nothing_known_adds_no_point(workdir, trained, points):
    view = seed_view(trained, summary={"quality/kid": 0.04}, summary_time=1_790_000_000_000)
    first = MlflowSync(workdir, "demo", None).sync([view])
    assert (first.runs, first.values) == (1, 11)
    (run,) = runs(workdir).values()
    client = open_client(resolve(workdir, None))
    client.delete_tag(run.info.run_id, "mlflow.harness.sent")  # killed before the note was made

    again = MlflowSync(workdir, "demo", None).sync([view])

    assert (again.runs, again.values) == (0, 11)
    found = points()
    assert {point: len(values) for point, values in found.items()} == dict.fromkeys(found, 1)
    expected = {("seed 1", "train/d_loss", e): [1.0 / e] for e in range(1, 6)}
    expected |= {("seed 1", "train/g_loss", e): [float(e)] for e in range(1, 6)}
    assert found == expected | {("seed 1", "quality/kid", 0): [0.04]}


def test_a_restart_sends_only_what_is_new(workdir, trained, points):
    MlflowSync(workdir, "demo", None).sync([seed_view(trained)])
    trained.log(6, train__d_loss=0.1)
    trained.cover(6)
    counts = MlflowSync(workdir, "demo", None).sync([seed_view(trained)])
    assert (counts.runs, counts.values) == (0, 1)
    assert len(points()) == 11


def test_a_run_that_goes_over_to_another_job_shows_that_one_alone(workdir, trained, job, points):
    """As a candidate's does that was good enough for a longer training."""
    mlflow_sync = MlflowSync(workdir, "demo", None)
    mlflow_sync.sync([seed_view(trained)])
    longer = job("b" * 24)
    for epoch in (1, 2):
        longer.log(epoch, train__d_loss=10.0 + epoch)
    longer.cover(2)
    mlflow_sync.sync([seed_view(longer)])
    expected = {("seed 1", "train/d_loss", e): [10.0 + e] for e in (1, 2)}
    assert points() == expected
    assert mlflow_sync.sync([seed_view(longer)]).values == 0
    assert points() == expected


def test_lines_that_no_state_covers_are_not_sent(workdir, trained, points):
    trained.log(6, train__d_loss=0.1)
    mlflow_sync = MlflowSync(workdir, "demo", None)
    mlflow_sync.sync([seed_view(trained)])
    assert max(step for _, _, step in points()) == 5
    trained.cover(6)
    assert mlflow_sync.sync([seed_view(trained)]).values == 1
    assert max(step for _, _, step in points()) == 6


def test_a_whole_feed_needs_no_cover(workdir, job, points):
    scored = job("b" * 24, "score")
    scored.log(40, quality__kid=0.2)
    scored.journal.sync()
    view = RunView(("score",), "score", parts=(JournalPart(scored.folder, whole=True),))
    MlflowSync(workdir, "demo", None).sync([view])
    assert points() == {("score", "quality/kid", 40): [0.2]}


def test_two_trials_show_their_own_part_of_one_lineage(workdir, trained, points):
    short = RunView(("s", "1"), "short", parts=(JournalPart(trained.folder, until=2),))
    long = RunView(("s", "2"), "long", parts=(JournalPart(trained.folder, until=4),))
    MlflowSync(workdir, "demo", None).sync([short, long])
    steps = {name: {s for n, _, s in points() if n == name} for name in ("short", "long")}
    assert steps == {"short": {1, 2}, "long": {1, 2, 3, 4}}


def test_a_raised_limit_brings_what_was_left_out_once(workdir, trained, points):
    mlflow_sync = MlflowSync(workdir, "demo", None)
    for until in (2, 4, None):
        mlflow_sync.sync([seed_view(trained, parts=(JournalPart(trained.folder, until=until),))])
    assert {step for _, _, step in points()} == {1, 2, 3, 4, 5}
    assert all(len(values) == 1 for values in points().values())


def test_children_point_to_their_parents_whatever_the_order(workdir, trained):
    views = [seed_view(trained), RunView(TRIAL, "trial 3", SWEEP), RunView(SWEEP, "mask sweep")]
    MlflowSync(workdir, "demo", None).sync(views)
    found = runs(workdir)
    sweep, trial, seed = (found["/".join(key)] for key in (SWEEP, TRIAL, SEED))
    assert trial.data.tags["mlflow.parentRunId"] == sweep.info.run_id
    assert seed.data.tags["mlflow.parentRunId"] == trial.info.run_id
    assert "mlflow.parentRunId" not in sweep.data.tags


def test_a_parent_of_an_earlier_command_is_found(workdir, trained):
    MlflowSync(workdir, "demo", None).sync([RunView(TRIAL, "trial 3")])
    MlflowSync(workdir, "demo", None).sync([seed_view(trained)])
    found = runs(workdir)
    parent = found["sweep-mask/trial-003"].info.run_id
    assert found["/".join(SEED)].data.tags["mlflow.parentRunId"] == parent


def test_what_is_not_a_number_is_shown_as_a_gap_and_infinity_is_flagged(workdir, job, points):
    made = job("c" * 24)
    for epoch, value in enumerate([1.0, math.nan, math.inf, -math.inf], start=1):
        made.log(epoch, train__loss=value)
    made.cover(4)
    view = seed_view(made)
    MlflowSync(workdir, "demo", None).sync([view])
    (run,) = runs(workdir).values()
    client = open_client(resolve(workdir, None))
    client.delete_tag(run.info.run_id, "mlflow.harness.sent")
    MlflowSync(workdir, "demo", None).sync([view])
    assert points() == {
        ("seed 1", "train/loss", 1): [1.0],
        ("seed 1", "train/loss", 2): [None],
        ("seed 1", "train/loss", 3): [None],
        ("seed 1", "train/loss", 4): [None],
        ("seed 1", "train/loss_is_infinite", 3): [1.0],
        ("seed 1", "train/loss_is_infinite", 4): [-1.0],
    }


def pictures(workdir):
    """Names of all stepped pictures, of all runs."""
    return sorted(path.name for path in (workdir / "mlflow" / "artifacts").rglob("images/*"))


def test_pictures_sent_twice_are_there_once(workdir, trained):
    for epoch in (1, 3, 5, 6):
        trained.draw("fixed noise", epoch)  # epoch 6 is not covered
    view = seed_view(trained)
    first = MlflowSync(workdir, "demo", None).sync([view])
    names = pictures(workdir)
    (run,) = runs(workdir).values()
    client = open_client(resolve(workdir, None))
    client.delete_tag(run.info.run_id, "mlflow.harness.sent")
    MlflowSync(workdir, "demo", None).sync([view])

    assert first.pictures == 3
    assert pictures(workdir) == names
    assert [name.partition("+timestamp")[0] for name in names if name.endswith(".png")] == [
        f"samples~fixed noise+step+{step}"
        for step in (0, 1, 3, 5)  # 0 is the newest
    ]
    assert len(names) == 8
    assert runs(workdir)["/".join(SEED)].data.tags["mlflow.loggedImages"] == "True"


def test_pictures_are_named_as_mlflow_names_its_own(workdir, trained):
    """The file names are MLflow's private habit: when it changes, this says so."""
    import re

    from PIL import Image

    trained.draw("fixed", 5)
    MlflowSync(workdir, "demo", None).sync([seed_view(trained)])
    ours = pictures(workdir)
    (run,) = runs(workdir).values()
    for path in (workdir / "mlflow" / "artifacts").rglob("images/*"):
        path.unlink()
    grey = Image.new("L", (900, 70))
    open_client(resolve(workdir, None)).log_image(
        run.info.run_id, grey, key="samples/fixed", step=5, timestamp=1
    )

    def shape(name: str) -> str:
        return re.sub(r"[0-9a-f-]{36}", "UUID", re.sub(r"timestamp\+\d+", "timestamp+T", name))

    assert [shape(name) for name in ours if "step+5" in name] == list(map(shape, pictures(workdir)))


def test_the_slider_opens_on_the_newest_picture(workdir, trained):
    """MLflow's slider opens at step 0, which shows the newest picture below its epoch."""
    from PIL import Image

    mlflow_sync = MlflowSync(workdir, "demo", None)
    for epoch in (1, 5):
        trained.draw("fixed", epoch)
        mlflow_sync.sync([seed_view(trained)])
    images = workdir / "mlflow" / "artifacts"
    (shown,) = images.rglob("images/*+step+0+*.png")
    source = Image.open(trained.folder / "samples" / "fixed-000005.png")
    seen = Image.open(shown).convert("L")
    assert seen.height > source.height
    below = seen.crop((0, seen.height - source.height, source.width, seen.height))
    assert below.tobytes() == source.tobytes()


def test_pictures_beyond_the_limit_stay_out(workdir, trained):
    for epoch in (1, 3, 5):
        trained.draw("fixed", epoch)
    view = seed_view(trained, parts=(JournalPart(trained.folder, until=3),))
    assert MlflowSync(workdir, "demo", None).sync([view]).pictures == 2


def test_a_journal_made_anew_replaces_its_run(workdir, trained, points):
    mlflow_sync = MlflowSync(workdir, "demo", None)
    child = RunView((*SEED, "part"), "part", SEED)
    mlflow_sync.sync([seed_view(trained), child])
    trained.journal.close()
    shutil.rmtree(trained.folder)
    remade = Journal(trained.folder / "journal.jsonl")
    remade.log(1, {"train/d_loss": 7.0})
    from harness.jobs.journal import mark_covered

    mark_covered(trained.folder, remade.sync(), 1)
    mlflow_sync.sync([seed_view(trained), child])
    assert points() == {("seed 1", "train/d_loss", 1): [7.0]}
    found = runs(workdir)
    parent = found["/".join(child.key)].data.tags["mlflow.parentRunId"]
    assert parent == found["/".join(SEED)].info.run_id


def test_params_and_note_and_tags(workdir, trained):
    view = seed_view(
        trained,
        params={"mask.learning_rate": "0.0002", "blocks[0]": "3"},
        tags={"kind": "seed"},
        note="**KID** of 4000 masks",
    )
    mlflow_sync = MlflowSync(workdir, "demo", None)
    mlflow_sync.sync([view])
    mlflow_sync.sync([dataclasses.replace(view, note="new", params={"mask.learning_rate": "1"})])
    data = runs(workdir)["/".join(SEED)].data
    assert data.params == {"mask.learning_rate": "0.0002", "blocks_0_": "3"}
    assert data.tags["kind"] == "seed"
    assert data.tags["mlflow.note.content"] == "new"


def test_many_settings_and_values_go_in_several_batches(workdir, job, points):
    made = job("d" * 24)
    for epoch in range(1, 400):
        made.log(epoch, a=1.0, b=2.0, c=3.0, d=4.0, e=5.0)
    made.cover(399)
    view = seed_view(
        made,
        params={f"p{n}": str(n) for n in range(250)},
        tags={f"t{n}": str(n) for n in range(150)},
    )
    MlflowSync(workdir, "demo", None).sync([view])
    assert len(points()) == 5 * 399
    data = runs(workdir)["/".join(SEED)].data
    assert len(data.params) == 250
    assert {f"t{n}" for n in range(150)} <= set(data.tags)


def test_a_changed_summary_is_the_one_that_counts(workdir, points):
    mlflow_sync = MlflowSync(workdir, "demo", None)
    view = RunView(TRIAL, "trial", summary={"quality/kid": 0.5, "n": 3.0}, summary_time=1000)
    mlflow_sync.sync([view])
    better = dataclasses.replace(view, summary={"quality/kid": 0.1, "n": 3.0})
    mlflow_sync.sync([better])
    MlflowSync(workdir, "demo", None).sync([better])
    (run,) = runs(workdir).values()
    assert run.data.metrics == {"quality/kid": 0.1, "n": 3.0}
    assert points()[("trial", "n", 0)] == [3.0]


def test_artifacts_are_attached_once_and_again_when_they_changed(workdir, tmp_path):
    file = tmp_path / "verdict.md"
    missing = tmp_path / "later.md"
    file.write_text("not yet")
    view = RunView(TRIAL, "trial", artifacts=((file, "report"), (missing, "report")))
    MlflowSync(workdir, "demo", None).sync([view])
    (stored,) = (workdir / "mlflow" / "artifacts").rglob("report/*")
    before = stored.stat().st_mtime_ns
    MlflowSync(workdir, "demo", None).sync([view])
    assert stored.stat().st_mtime_ns == before
    file.write_text("decided")
    MlflowSync(workdir, "demo", None).sync([view])
    assert stored.read_text() == "decided"


def test_status_follows_the_view_and_times_follow_the_journal(workdir, trained):
    mlflow_sync = MlflowSync(workdir, "demo", None)
    views = [RunView(SWEEP, "sweep"), seed_view(trained, parent=SWEEP)]
    mlflow_sync.sync(views)
    assert {run.info.status for run in runs(workdir).values()} == {"RUNNING"}
    finished = [dataclasses.replace(view, status="finished") for view in views]
    MlflowSync(workdir, "demo", None).sync(finished)
    lines = [json.loads(text) for text in (trained.folder / "journal.jsonl").open()]
    for run in runs(workdir).values():
        assert run.info.status == "FINISHED"
        assert run.info.start_time == lines[0]["time"]
        assert run.info.end_time == lines[-1]["time"]
    mlflow_sync = MlflowSync(workdir, "demo", None)
    mlflow_sync.sync([dataclasses.replace(views[0], status="failed"), views[1]])
    found = runs(workdir)
    assert found["sweep-mask"].info.status == "FAILED"
    assert found["/".join(SEED)].info.status == "RUNNING"


def test_closing_shows_what_did_not_finish_as_killed_until_it_goes_on(workdir, trained):
    MlflowSync(workdir, "demo", None).sync([seed_view(trained)], closing=True)
    assert runs(workdir)["/".join(SEED)].info.status == "KILLED"
    MlflowSync(workdir, "demo", None).sync([seed_view(trained)])
    assert runs(workdir)["/".join(SEED)].info.status == "RUNNING"


def test_closing_ends_runs_that_nobody_shows(workdir, trained):
    gone = RunView(("old",), "old")
    done = RunView(("done",), "done", status="finished")
    MlflowSync(workdir, "demo", None).sync([gone, done])
    MlflowSync(workdir, "demo", None).sync([seed_view(trained, status="finished")], closing=True)
    states = {key: run.info.status for key, run in runs(workdir).items()}
    assert states == {"/".join(SEED): "FINISHED", "old": "KILLED", "done": "FINISHED"}


def test_two_work_folders_on_one_database_keep_their_runs_apart(workdir, tmp_path, trained):
    uri = f"sqlite:///{workdir / 'mlflow' / 'mlflow.db'}"
    other = tmp_path / "other"
    MlflowSync(workdir, "demo", None).sync([seed_view(trained)])
    counts = MlflowSync(other, "demo", uri).sync([RunView(SEED, "same key")])
    assert counts.runs == 1
    MlflowSync(other, "demo", uri).sync([], closing=True)
    client = open_client(resolve(workdir, None))
    found = client.search_runs([client.get_experiment_by_name("demo").experiment_id])
    states = {run.info.run_name: run.info.status for run in found}
    assert states == {"seed 1": "RUNNING", "same key": "KILLED"}


def test_a_run_deleted_in_the_pages_comes_back_as_the_folders_have_it(workdir, trained, points):
    MlflowSync(workdir, "demo", None).sync([seed_view(trained)])
    client = open_client(resolve(workdir, None))
    client.delete_run(runs(workdir)["/".join(SEED)].info.run_id)
    assert MlflowSync(workdir, "demo", None).sync([seed_view(trained)]).values == 10
    assert len(points()) == 10


def test_pending_counts_what_is_covered_and_unsent(workdir, trained):
    view = seed_view(trained, summary={"quality/kid": 0.1})
    mlflow_sync = MlflowSync(workdir, "demo", None)
    assert mlflow_sync.pending([view]) == 11
    mlflow_sync.sync([view])
    assert mlflow_sync.pending([view]) == 0
    trained.log(6, train__d_loss=0.5)
    trained.log(7, train__d_loss=0.5)
    trained.cover(7)
    assert mlflow_sync.pending([view]) == 2


def test_names_that_mlflow_refuses_are_mended(workdir, job, points):
    made = job("e" * 24)
    made.journal.log(1, {"quality/kid[mean]": 1.0, "../up": 2.0, "a=b": 3.0})
    made.cover(1)
    MlflowSync(workdir, "demo", None).sync([seed_view(made)])
    assert {name for _, name, _ in points()} == {"quality/kid_mean_", "up", "a_b"}


def test_odd_work_folder_names(tmp_path, migrated):
    root: Path = tmp_path / "50% of a work folder #1"
    (root / "mlflow").mkdir(parents=True)
    shutil.copy(migrated, root / "mlflow" / "mlflow.db")
    file = tmp_path / "a.txt"
    file.write_text("x")
    MlflowSync(root, "demo", None).sync([RunView(("a",), "a", artifacts=((file, ""),))])
    assert [p.name for p in (root / "mlflow" / "artifacts").rglob("*.txt")] == ["a.txt"]
    assert (root / "mlflow" / "mlflow.db").stat().st_size > 0
