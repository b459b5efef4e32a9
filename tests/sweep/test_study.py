"""Which trials a study has, whatever happens to the process that asks for them."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest

from harness.base.errors import ConfigError
from harness.config.search import StageSweepConfig, SweepConfig
from harness.sweep.space import grid_cells
from harness.sweep.storage import make_database
from harness.sweep.study import Study, Trial

# A database without a study, once there is one: making it takes longer than most of a test.
empty: list[bytes] = []
SPACE = {
    "batch_size": {"values": [6, 12, 64]},
    "optimiser.learning_rate": {"low": 1e-5, "high": 1e-2, "log": True},
    "schedule.epochs": {"low": 10, "high": 90, "integer": True},
}
GRID = {
    "batch_size": {"values": [6, 12, 64]},
    "schedule.epochs": {"values": [30, 50]},
    "optimiser.beta1": {"values": [0.0, 0.5]},
}


def settings(trials: int = 16, space: Any = SPACE, **more: Any) -> StageSweepConfig:
    return StageSweepConfig.model_validate({"trials": trials, "space": space, **more})


def study(folder: Path, trials: int = 16, base: str = "b", **more: Any) -> Study:
    """Opened anew: nothing is shared with earlier ones but the file."""
    if not (folder / "mask.db").exists() and empty:
        folder.mkdir(exist_ok=True)
        (folder / "mask.db").write_bytes(empty[0])
    stage = {
        k: more.pop(k)
        for k in ("space", "direction", "objective", "further_objectives")
        if k in more
    }
    sweep = SweepConfig.model_validate({"trials_per_batch": 4, **more})
    return Study(folder / "mask.db", "mask", sweep, settings(trials, **stage), base)


def loss(params: Any) -> float:
    """Least at a rate of 1e-3 and a batch of 12."""
    rate = math.log10(params["optimiser.learning_rate"]) + 3
    return rate**2 + 0.01 * abs(params["batch_size"] - 12) + params["schedule.epochs"] / 1000


def tell(opened: Study, trials: Sequence[Trial], value: Callable[[Any], float] = loss) -> None:
    for trial in trials:
        opened.tell(trial.number, [value(trial.params)], 0)


def finish(opened: Study, value: Callable[[Any], float] = loss) -> list[Trial]:
    """Without interruption: ask a wave, tell it, ask the next."""
    while wave := opened.ask_wave():
        tell(opened, wave, value)
    return opened.trials()


def params(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    return [dict(trial.params) for trial in trials]


def dashboard_of(folder: Path) -> optuna.Study:
    (name,) = optuna.get_all_study_names(f"sqlite:///{folder / 'mask.db'}")
    return optuna.load_study(study_name=name, storage=f"sqlite:///{folder / 'mask.db'}")


@pytest.mark.parametrize("name", ["w?x", "w?mode=ro", "w#x", "w%20x", "w ü'\"\\", "%(here)s"])
def test_its_folder_may_be_called_anything(folder: Path, name: str) -> None:
    for new in (True, False):  # made there, and found there
        opened = Study(
            folder / name / "mask.db", "mask", SweepConfig(), settings(2), "b"
        )  # fmt: skip
        assert [trial.number for trial in opened.trials()] == ([] if new else [0, 1])
        if new:
            opened.ask_wave()
    assert [path.name for path in folder.iterdir()] == [name]
    with contextlib.closing(sqlite3.connect(folder / name / "mask.db")) as database:
        assert database.execute("SELECT count(*) FROM trials").fetchone() == (2,)


def test_dashboards_call_the_objectives_by_their_titles(
    folder: Path, recwarn: pytest.WarningsRecorder
) -> None:
    study(folder, 1, further_objectives={"cost/epochs": "minimize"})
    assert dashboard_of(folder).metric_names == ["KID", "epochs a seed"]
    # One that was made without names gets them when it is opened again.
    older = dashboard_of(folder)
    older._storage.set_study_system_attr(older._study_id, "study:metric_names", None)
    opened = study(folder, 1, further_objectives={"cost/epochs": "minimize"})
    assert dashboard_of(folder).metric_names == ["KID", "epochs a seed"]
    assert not [w for w in recwarn if w.category.__name__ == "ExperimentalWarning"]
    (trial,) = opened.ask_wave()
    opened.tell(trial.number, [0.123456789, None], 1, further=[[30.0, 30.0]])
    (told,) = dashboard_of(folder).trials
    assert told.user_attrs == {"failed_seeds": 1, "seed_values": [0.1235, None]}


@pytest.fixture(scope="module", autouse=True)
def _made_once(module_folder: Path) -> Iterator[None]:
    make_database(module_folder / "empty.db")
    empty.append((module_folder / "empty.db").read_bytes())
    yield
    empty.clear()


@pytest.fixture(scope="module")
def whole(module_folder: Path) -> list[dict[str, Any]]:
    """Parameters of the uninterrupted study."""
    return params(finish(study(module_folder)))


def test_trials_lie_in_the_space_and_come_in_waves(folder: Path) -> None:
    opened = study(folder, trials=10)
    sizes = []
    while wave := opened.ask_wave():
        assert all(trial.value is None for trial in wave)
        sizes.append(len(wave))
        tell(opened, wave)
    assert sizes == [4, 4, 2]
    for trial in opened.trials():
        assert trial.params["batch_size"] in (6, 12, 64)
        assert 1e-5 <= trial.params["optimiser.learning_rate"] <= 1e-2
        assert isinstance(trial.params["schedule.epochs"], int)
        assert 10 <= trial.params["schedule.epochs"] <= 90
        assert trial.value == pytest.approx(loss(trial.params))


def test_a_wave_that_waits_is_not_asked_again(folder: Path) -> None:
    opened = study(folder)
    first = opened.ask_wave()
    assert opened.ask_wave() == []
    tell(opened, first[:3])
    assert opened.ask_wave() == []
    assert len(opened.trials()) == 4


@pytest.mark.parametrize("order", [(3, 1, 0, 2)])
def test_the_study_reopened_after_every_step_has_the_same_trials(
    folder: Path, whole: list[dict[str, Any]], order: Sequence[int]
) -> None:
    while study(folder).ask_wave():
        waiting = [t for t in study(folder).trials() if t.value is None]
        for place in order:
            tell(study(folder), [waiting[place]])
    assert params(study(folder).trials()) == whole


@pytest.mark.parametrize("cut", [5, 13, 15])
def test_a_wave_cut_short_while_it_was_asked_is_completed_the_same(
    folder: Path, whole: list[dict[str, Any]], cut: int
) -> None:
    """As many trials as a driver had entered when it was killed, then the whole study."""
    finish(study(folder, trials=cut - cut % 4))
    study(folder, trials=cut).ask_wave()
    entered = study(folder)
    assert len(entered.trials()) == cut
    assert len(entered.ask_wave()) == 4 - cut % 4
    tell(entered, [t for t in entered.trials() if t.value is None])
    assert params(finish(entered)) == whole


CONDITIONAL = {
    "noise": {"values": ["normal", "uniform"]},
    "optimiser.learning_rate": {"low": 1e-5, "high": 1e-2, "log": True},
    "real_label": {"low": 0.8, "high": 1.0, "when": {"noise": ["uniform"]}},
    "latent": {"low": 4, "high": 64, "integer": True, "when": {"noise": ["uniform"]}},
}


@pytest.mark.parametrize("sampler", ["tpe", "gp", "random"])
def test_an_axis_is_asked_where_its_condition_holds_and_the_same_after_any_restart(
    folder: Path, sampler: str
) -> None:
    def value(p: Any) -> float:
        rate = math.log10(p["optimiser.learning_rate"]) + 3
        return rate**2 + 10 * abs(p.get("real_label", 0.9) - 0.9)

    def run(folder: Path, reopen: bool) -> list[dict[str, Any]]:
        asked = {"space": CONDITIONAL, "sampler": sampler, "trials": 12}
        opened = study(folder, **asked)
        while wave := opened.ask_wave():
            for trial in wave:
                opened = study(folder, **asked) if reopen else opened
                tell(opened, [trial], value)
        return params(opened.trials())

    found = run(folder / "once", reopen=False)
    assert {p["noise"] for p in found} == {"normal", "uniform"}
    for trial in found:
        applies = trial["noise"] == "uniform"
        assert ("real_label" in trial, "latent" in trial) == (applies, applies)
        assert 0.8 <= trial.get("real_label", 0.9) <= 1
        assert 4 <= trial.get("latent", 4) <= 64
    assert run(folder / "reopened", reopen=True) == found


@pytest.mark.parametrize("first", [5, 13])
def test_more_trials_later_are_those_that_would_have_been_asked_at_once(
    folder: Path, whole: list[dict[str, Any]], first: int
) -> None:
    before = params(finish(study(folder, trials=first)))
    assert before == whole[:first]
    after = study(folder)
    assert [trial.value for trial in after.trials()] == [pytest.approx(loss(p)) for p in before]
    assert params(finish(after)) == whole


def test_fewer_trials_later_drop_none(folder: Path) -> None:
    finish(study(folder, trials=8))
    fewer = study(folder, trials=3)
    assert fewer.ask_wave() == []
    assert len(fewer.trials()) == 8


PROCESS = """
import json, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_study import loss, study
opened = study(Path(sys.argv[1]))
while True:
    opened.ask_wave()
    running = [trial for trial in opened.trials() if trial.value is None]
    if not running:
        break
    for trial in running:
        opened.tell(trial.number, [loss(trial.params)], 0)
        print(trial.number, flush=True)
        time.sleep(0.03)
print("end", flush=True)
"""


def test_a_killed_process_leaves_the_same_trials(folder: Path, whole: list[dict[str, Any]]) -> None:
    command = [sys.executable, "-c", PROCESS, str(folder), str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(6):
            process.stdout.readline()
        time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("end\n")
    assert params(study(folder).trials()) == whole


def test_random_settings_do_not_depend_on_results(folder: Path) -> None:
    one = finish(study(folder / "a", 6, sampler="random"))
    two = finish(study(folder / "b", 6, sampler="random"), lambda p: -loss(p))
    assert params(one) == params(two)
    other = finish(study(folder / "c", 6, sampler="random", seed=1))
    assert params(other) != params(one)


def test_tpe_sees_the_results_of_earlier_waves(folder: Path) -> None:
    good = finish(study(folder / "good", trials=20))
    turned = finish(study(folder / "turned", trials=20), lambda p: -loss(p))
    assert params(good)[:8] == params(turned)[:8]  # the first trials are drawn, not searched
    assert params(good)[12:] != params(turned)[12:]

    def late(trials: list[Trial]) -> float:
        return sum(loss(t.params) for t in trials[12:]) / 8

    drawn = finish(study(folder / "drawn", trials=20, sampler="random"))
    assert late(good) < late(drawn) < late(turned)


def test_a_grid_asks_every_cell_once(folder: Path) -> None:
    opened = study(folder, trials=50, sampler="grid", space=GRID)
    assert opened.total() == 12
    found = [tuple(p.values()) for p in params(finish(opened, lambda p: 0.0))]
    assert len(found) == 12
    assert set(found) == set(itertools.product([6, 12, 64], [30, 50], [0.0, 0.5]))
    assert found != sorted(found)  # shuffled, so that a part of the grid covers every axis


def test_a_part_of_a_grid_goes_on_where_it_stopped(folder: Path) -> None:
    finish(study(folder, trials=5, sampler="grid", space=GRID), lambda p: 0.0)
    cells = params(finish(study(folder, 12, sampler="grid", space=GRID), lambda p: 0.0))
    assert max(Counter(map(str, cells)).values()) == 1
    assert len(cells) == 12


def test_a_grid_has_no_cell_of_a_range() -> None:
    with pytest.raises(ConfigError) as error:
        grid_cells(settings().space, 0)
    assert str(error.value) == (
        "a grid needs `values` on every axis, but optimiser.learning_rate is a range; list its "
        "values, or use `sampler: tpe`"
    )


# --- the best trial -------------------------------------------------------------------------


def told(folder: Path, values: Sequence[tuple[Sequence[float | None], int]], **more: Any) -> Study:
    opened = study(folder, trials=len(values), **more)
    while wave := opened.ask_wave():
        for trial in wave:
            opened.tell(trial.number, *values[trial.number])
    return opened


def best_number(opened: Study) -> int:
    best = opened.best()
    assert best is not None
    return best.number


def test_the_mean_over_seeds_decides(folder: Path) -> None:
    opened = told(folder, [([0.1, 0.9], 0), ([0.4, 0.4], 0), ([0.3, 0.6], 0)])
    assert [t.value for t in opened.trials()] == pytest.approx([0.5, 0.4, 0.45])
    assert best_number(opened) == 1


def test_the_direction_of_the_objective(folder: Path) -> None:
    values = [([0.5], 0), ([0.4], 0), ([0.6], 0)]
    assert best_number(told(folder / "a", values)) == 1
    assert best_number(told(folder / "b", values, direction="maximize")) == 2


def test_a_tie_goes_to_the_lower_number(folder: Path) -> None:
    values = [([0.5], 0), ([0.4], 0), ([0.4], 0), ([0.4], 0)]
    assert best_number(told(folder / "a", values)) == 1
    turned = [([-v], f) for [v], f in values]
    assert best_number(told(folder / "b", turned, direction="maximize")) == 1


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_trial_with_a_failed_seed_is_never_chosen(folder: Path, direction: str) -> None:
    great = -9.0 if direction == "minimize" else 9.0
    values = [([great, great], 1), ([0.4, 0.4], 0), ([None, great], 1), ([None, None], 2)]
    opened = told(folder, values, direction=direction)
    assert best_number(opened) == 1
    assert [t.failed_seeds for t in opened.trials()] == [1, 0, 1, 2]
    assert best_number(study(folder, trials=4, direction=direction)) == 1


def test_nothing_is_chosen_where_every_trial_failed(folder: Path) -> None:
    assert told(folder / "a", [([0.1], 1), ([None], 1)]).best() is None
    assert study(folder / "b").best() is None


def test_a_search_goes_on_after_failed_trials(folder: Path) -> None:
    """Failures count as bad, whatever number came with them: TPE leaves the region."""
    opened = study(folder, trials=24)
    while wave := opened.ask_wave():
        for trial in wave:
            failed = trial.params["optimiser.learning_rate"] > 1e-4
            opened.tell(trial.number, [None if failed else 0.5], int(failed))
    failed = [trial.failed_seeds for trial in opened.trials()]
    assert sum(failed[14:]) < sum(failed[:10])


# --- which study ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"base": "other"},
        {"seed": 1},
        {"seeds": 2},
        {"trials_per_batch": 3},
        {"sampler": "random"},
        {"direction": "maximize"},
        {"objective": "quality/fid"},
        {"space": GRID},
    ],
)
def test_what_changes_the_question_is_another_study(folder: Path, change: Any) -> None:
    first = study(folder)
    first.ask_wave()
    other = study(folder, **change)
    assert other.name != first.name
    assert other.trials() == []
    other.ask_wave()
    assert len(study(folder).trials()) == 4


def test_more_trials_are_the_same_study(folder: Path) -> None:
    assert study(folder, trials=3).name == study(folder, trials=30).name


FIRST_USE = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import optuna
from test_study import study
time.sleep(max(0.0, float(sys.argv[3]) - time.time()))
print(study(Path(sys.argv[1])).name)
"""


def test_several_processes_may_use_a_new_database_at_once(folder: Path) -> None:
    arguments = [str(folder), str(Path(__file__).parent), str(time.time() + 3)]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", FIRST_USE, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0] * 2, answers
    assert len({out for out, _ in answers}) == 1
    assert sorted(path.name for path in folder.iterdir()) == ["mask.db", "mask.lock"]


def test_the_rest_of_a_killed_first_use_is_replaced(folder: Path) -> None:
    (folder / "mask.part").write_bytes(b"SQLite format 3\0 and half a page")
    make_database(folder / "mask.db")
    assert not (folder / "mask.part").exists()
    assert json.dumps(params(study(folder).ask_wave()))
