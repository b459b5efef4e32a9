"""`harness collapse`: the verdict on every seed of the sweeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from harness.base.errors import ConfigError, DataError
from harness.base.text import DASH, aligned, counted, settings_text
from harness.commands.chosen_settings import finished_sweeps
from harness.commands.report import write_page
from harness.commands.session import Session
from harness.sweep.plan import SeedRun, TrialRun
from harness.sweep.verdicts import SeedVerdict, Verdicts, sweep_verdicts


def judge_sweeps(session: Session) -> list[Verdicts]:
    """Verdicts on every seed of the sweeps that has trained to its trial's end; makes nothing."""
    found = []
    for plan in finished_sweeps(session) if session.patients_known else ():
        large = sum(bool(seed.too_large) for _, seed in plan.seeds())
        if large:
            session.console.warn(
                f"{counted(large, 'training')} of the {plan.stage} sweep did not fit the memory "
                f"and {'has' if large == 1 else 'have'} no verdict"
            )
        unscored = sum(_lacks_score(session, trial, seed) for trial, seed in plan.seeds())
        if unscored:
            session.console.warn(
                f"{counted(unscored, 'training')} of the {plan.stage} sweep "
                f"{'has' if unscored == 1 else 'have'} no score by this version of harness, and so "
                "no verdict; harness sweep makes what is missing"
            )
        verdicts = sweep_verdicts(session.work, plan, session.experiment.sweep.sampler)
        if verdicts is not None:
            found.append(verdicts)
    return found


def _lacks_score(session: Session, trial: TrialRun, seed: SeedRun) -> bool:
    """Whether a seed trained to its trial's end without a score of that end."""
    last, end = seed.phases.at(trial.epochs), seed.scores.get(trial.epochs)
    trained = session.work.job(last).result(trial.epochs) is not None
    return trained and end is not None and session.work.job(end).result() is None


def lines(found: Verdicts) -> list[str]:
    """What the console says of a stage: a line per seed, how many collapsed and where, what to
    do."""
    rows = [("trial", "seed", "verdict", "since epoch", "setting")]
    rows += [
        (str(row.trial), str(row.seed), row.word, _since(row), settings_text(row.params))
        for row in found.seeds
    ]
    space = f"sweep.{found.stage}.space"
    bad = [row for row in found.seeds if row.collapsed]
    unclear = [row for row in found.seeds if row.word == "undecided"]
    text = [*aligned(rows, str.ljust), _summary(bad, found.seeds)]
    if found.caution:
        text.append(found.caution)
    if bad:
        text.append(f"The page has samples of every seed; narrow {space} and sweep again.")
    if unclear:
        text.append(f"{counted(len(unclear), 'seed')} undecided, the first: {unclear[0].sentence}")
    return text


def _since(row: SeedVerdict) -> str:
    """What showed it, and from which epoch on."""
    since = {"losses": row.onset, "samples": row.seen}
    return ", ".join(f"{n} ({what})" for what, n in since.items() if n is not None) or DASH


def _summary(bad: Sequence[SeedVerdict], seeds: Sequence[SeedVerdict]) -> str:
    """How many collapsed, and where others did not."""
    text = f"{len(bad)} of {counted(len(seeds), 'seed')} collapsed"
    common = _common(bad, seeds) if 0 < len(bad) < len(seeds) else ""
    if common:
        text += f", {'all ' if len(bad) > 1 else ''}{common}"
    return text + "."


def _common(bad: Sequence[SeedVerdict], seeds: Sequence[SeedVerdict]) -> str:
    """The trial that has the collapsed seeds, or settings that not all seeds have; "" for none."""
    if len({row.trial for row in bad}) == 1:
        return f"in trial {bad[0].trial}"
    told = {
        path: value
        for path, value in bad[0].params.items()
        if all(row.params.get(path) == value for row in bad)
        and any(row.params.get(path) != value for row in seeds)
    }
    return f"at {settings_text(told)}" if told else ""


def run_collapse(session: Session) -> dict[str, Any]:
    """The verdict on every seed of the sweeps, its evidence on the page."""
    found = judge_sweeps(session)
    if not found:
        sweep = session.experiment.sweep
        swept = sweep.mask is not None or sweep.image is not None
        raise DataError(
            "collapse judges trainings of a sweep, but this experiment has none in this work "
            "folder; "
            + ("run harness sweep first" if swept else "give sweep.mask or sweep.image a space")
        )
    page = _page(session)
    for verdicts in found:
        session.console.heading(f"{verdicts.stage.capitalize()} stage")
        for line in lines(verdicts):
            session.console.say(line)
    return {
        "verdict": " ".join(verdicts.sentence for verdicts in found),
        "collapsed": sum(row.collapsed for verdicts in found for row in verdicts.seeds),
        "stages": {verdicts.stage: asdict(verdicts) for verdicts in found},
        "report": f"{page}#collapse" if page else None,
    }


def _page(session: Session) -> str | None:
    """The page with the evidence, None where it cannot be written."""
    try:
        return str(write_page(session)["report"])
    except ConfigError as error:
        session.console.warn(str(error))
        return None
