"""`harness decide`: does one arm beat another in anyone's table of scores?"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from harness.base.console import Console
from harness.base.errors import ConfigError, DataError
from harness.base.files import write_bytes
from harness.base.registry import nearest
from harness.compare.decision import DecisionRule, decide
from harness.compare.effect import Effect
from harness.compare.scores_file import read_scores_file
from harness.compare.table import Table
from harness.compare.words import COHORT
from harness.figures.arms import PairedDots, paired_differences
from harness.figures.style import MINUS, short_name, style
from harness.metrics.planning import collapse_rate_left_open

FORMATS = (".png", ".svg")
MEASURE = "value"
"""The file does not say what was measured, so the sentences do not either."""
NAMED = 5
"""So many missing cells are named."""


@dataclass(frozen=True)
class Request:
    """What to decide, as typed.

    Attributes:
        scores: CSV file.
        baseline, candidate: of the primary comparison.
        margin: smallest difference that matters, in the unit of the values.
        secondary: further comparisons, each BASELINE:CANDIDATE.
        output: of the figure; None puts it beside the scores.
    """

    scores: Path
    baseline: str | None = None
    candidate: str | None = None
    margin: float = 0.01
    secondary: tuple[str, ...] = ()
    output: Path | None = None


def decide_scores(request: Request, console: Console) -> dict[str, Any]:
    """Effects with their verdicts, the figure, and what stands beside them, as plain data.

    Raises:
        ConfigError, DataError: the options or the file break a rule.
    """
    _check_margin(request.margin)
    figure_path = _figure_path(request)
    found = read_scores_file(request.scores)
    table = found.table
    rule = _rule(request, table)
    notes = [*found.notes, *_notes(table, rule)]
    for note in notes:
        console.warn(note)
    effects = decide(table, rule, measure=MEASURE)
    _write(_figure(table, effects[0], rule.margin), figure_path)
    return {
        "scores": str(request.scores),
        "figure": str(figure_path),
        "verdict": effects[0].sentence,
        "margin": rule.margin,
        "arms": list(table.arms),
        "effects": [asdict(effect) for effect in effects],
        "differences": [_differences(table, effect) for effect in effects],
        "missing": _missing(table, rule),
        "failure_rate_left_open": collapse_rate_left_open(len(table.replicates)),
        "scope": COHORT,
        "notes": notes,
    }


def _check_margin(margin: float) -> None:
    if not (math.isfinite(margin) and margin > 0):
        raise ConfigError(
            f"--margin must be a number above 0, but got {margin:g}; it is the smallest difference "
            "that matters to you, in the unit of the values"
        )


def _figure_path(request: Request) -> Path:
    scores = request.scores
    path = request.output or scores.with_name(f"{scores.stem}-decision.png")
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(
            f"--output must be a figure that ends in {' or '.join(FORMATS)}, but got '{path}'; "
            "name e.g. decision.png"
        )
    if path.resolve() == scores.resolve():
        raise ConfigError(
            f"--output must not be the file of scores, but got '{path}'; name another one"
        )
    return path


def _rule(request: Request, table: Table) -> DecisionRule:
    """The declared comparisons; their direction is never guessed."""
    arms = table.arms
    if len(arms) < 2:
        raise DataError(
            f"a comparison needs two arms, but got only '{arms[0]}' in '{request.scores}'; add the "
            "rows of another one"
        )
    baseline, candidate = _primary(request, arms)
    secondary = tuple(_pair(text, arms) for text in request.secondary)
    pairs = [(baseline, candidate), *secondary]
    for index, pair in enumerate(pairs):
        if pair[0] == pair[1]:
            raise ConfigError(
                f"a comparison needs two arms, but got '{pair[0]}' twice; name another one"
            )
        if {*pair} in [{*other} for other in pairs[:index]]:
            raise ConfigError(
                f"each pair of arms is compared once, but got '{pair[0]}:{pair[1]}' again; leave "
                "this --secondary out"
            )
    return DecisionRule(baseline, candidate, request.margin, secondary)


def _primary(request: Request, arms: Sequence[str]) -> tuple[str, str]:
    given = {"--baseline": request.baseline, "--candidate": request.candidate}
    for option, name in given.items():
        if name is not None:
            _check_arm(name, arms, option)
    one = request.baseline or request.candidate
    if len(arms) == 2 and one is not None:  # the other one can only be the other one
        other = next(arm for arm in arms if arm != one)
        return request.baseline or other, request.candidate or other
    if request.baseline is None or request.candidate is None:
        lacking = " and ".join(option for option, name in given.items() if name is None)
        raise ConfigError(
            f"{lacking} must name an arm, but got nothing; the file has {', '.join(arms)}: the "
            "difference is candidate - baseline"
        )
    return request.baseline, request.candidate


def _pair(text: str, arms: Sequence[str]) -> tuple[str, str]:
    """BASELINE:CANDIDATE, whose names may hold colons themselves."""
    splits = [
        (text[:place], text[place + 1 :]) for place, letter in enumerate(text) if letter == ":"
    ]
    known = [pair for pair in splits if pair[0] in arms and pair[1] in arms]
    if len(known) == 1:
        return known[0]
    if not splits or known:
        raise ConfigError(
            f"--secondary must be BASELINE:CANDIDATE, but got '{text}'; name two of the arms "
            f"{', '.join(arms)}"
        )
    for arm in splits[0]:
        _check_arm(arm, arms, "--secondary")
    return splits[0]


def _check_arm(name: str, arms: Sequence[str], option: str) -> None:
    if name not in arms:
        near = nearest(name, arms)
        hint = f"; did you mean '{near}'?" if near else "; name one of them"
        raise ConfigError(
            f"{option} must be one of the arms {', '.join(arms)}, but got '{name}'{hint}"
        )


def _compared(rule: DecisionRule) -> list[tuple[str, str]]:
    return [(rule.baseline, rule.candidate), *rule.secondary]


def _notes(table: Table, rule: DecisionRule) -> list[str]:
    """What a reader might not expect of the values."""
    notes = []
    used = {arm for pair in _compared(rule) for arm in pair}
    unused = [arm for arm in table.arms if arm not in used]
    if unused:
        rows = sum(cell.arm in unused for cell in table.cells)
        notes.append(f"{rows} rows of arms that no comparison names: {', '.join(unused)}")
    outside = sum(not 0 <= cell.value <= 1 for cell in table.cells if math.isfinite(cell.value))
    if outside:
        notes.append(
            f"{outside} values lie outside 0 to 1, where a Dice lies: the margin of "
            f"{rule.margin:g} is in the unit of the values"
        )
    return notes


def _missing(table: Table, rule: DecisionRule) -> dict[str, Any]:
    """Cells of the compared arms that have no value."""
    arms = [arm for arm in table.arms if any(arm in pair for pair in _compared(rule))]
    named: list[dict[str, Any]] = []
    count = 0
    for arm in arms:
        holes = np.argwhere(np.isnan(table.values(arm)))
        count += len(holes)
        named += [
            {"patient": table.patients[p], "replicate": table.replicates[r], "arm": arm}
            for p, r in holes[: NAMED - len(named)]
        ]
    whole = len(arms) * len(table.patients) * len(table.replicates)
    return {"count": count, "of": whole, "first": named}


def _differences(table: Table, effect: Effect) -> dict[str, Any]:
    """The cells of a comparison and their means, NaN where any cell lacks."""
    cells = table.difference(effect.baseline, effect.candidate)
    return {
        "patients": list(table.patients),
        "replicates": list(table.replicates),
        "cells": cells.tolist(),
        "patient_means": cells.mean(axis=1).tolist(),
        "replicate_means": cells.mean(axis=0).tolist(),
    }


def _figure(table: Table, effect: Effect, margin: float) -> Figure:
    """The primary comparison."""
    about = _differences(table, effect)
    figure = paired_differences(
        PairedDots(
            baseline=effect.baseline,
            candidate=effect.candidate,
            patients=about["patients"],
            patient_means=about["patient_means"],
            replicates=[str(name) for name in about["replicates"]],
            replicate_means=about["replicate_means"],
            margin=margin,
            mean=effect.mean,
            interval95=effect.interval95,
            interval90=effect.interval90,
        )
    )
    what = f"{short_name(effect.candidate)} {MINUS} {short_name(effect.baseline)}"
    with style():
        figure.axes[0].set_xlabel(f"{what}, {MEASURE} (grey: within {margin:g})")
    return figure


def _write(figure: Figure, path: Path) -> None:
    buffer = io.BytesIO()
    kind = path.suffix.lower()[1:]
    # Without dates and versions the same scores give the same file.
    nameless = {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
    with style():
        figure.savefig(buffer, format=kind, dpi=160, metadata=nameless)
    try:
        write_bytes(path, buffer.getvalue())
    except OSError as error:
        raise ConfigError(
            f"--output must be a figure that can be written, but got '{path}' ({error.strerror}); "
            "name another one"
        ) from error
