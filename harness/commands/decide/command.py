"""`harness decide`: does one arm beat another in anyone's table of scores?"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from harness.base.console import Console
from harness.base.errors import ConfigError
from harness.base.files import write_bytes
from harness.base.text import MINUS
from harness.commands.decide.checks import alike, check_values, missing, notes_on
from harness.commands.decide.dependence import check_cases
from harness.commands.decide.equal_replicates import check_replicates
from harness.commands.decide.request import (
    HIGHER,
    LOWER,
    DecideRequest,
    check_options,
    declared_rule,
    figure_path,
    read_scores,
)
from harness.commands.output_folder import unwritable
from harness.figures.arms import LABEL, PairedDots, on_a_line, paired_differences
from harness.figures.style import short_name, style
from harness.inference.co_primaries import common_sentence, common_word
from harness.inference.companion import companion_of
from harness.inference.decision import decide
from harness.inference.effect import Effect
from harness.inference.power import collapse_rate_left_open
from harness.inference.table import Table
from harness.inference.verdict_text import LOWER_IS_BETTER, spoken


def decide_measures(
    requests: Sequence[DecideRequest], console: Console, any_may: bool = False
) -> dict[str, Any]:
    """What `decide_scores` says, or of several measures that are primary together what it says of
    each, with the word that they have in common.

    Args:
        any_may: any of them may succeed, so that each has a word of its own and all are adjusted.

    Raises:
        ConfigError, DataError: as of `decide_scores`, or several looks at several measures.
    """
    if len(requests) == 1:
        return decide_scores(requests[0], console)
    if any(r.looks or len(r.candidates) > 1 or r.looked_at for r in requests):
        raise ConfigError(
            "several of --value go with one --candidate and one look, but got more; these were "
            "never tried together"
        )
    decided = {
        str(r.value): _decided(replace(r, looked_at=len(requests) - 1) if any_may else r, console)
        for r in requests
    }
    effects = {name: primary for name, (_, primary) in decided.items()}
    verdict = None if any_may else common_sentence(effects)
    return {"figure": None, "all_must_succeed": not any_may, "verdict": verdict} | {
        "word": None if any_may else common_word(effects),
        "measures": {name: found for name, (found, _) in decided.items()},
    }


def decide_scores(request: DecideRequest, console: Console) -> dict[str, Any]:
    """Effects with their verdicts, and what stands beside them, as plain data; the figure, where it
    is asked for.

    Raises:
        ConfigError, DataError: the options or the file break a rule.
    """
    return _decided(request, console)[0]


def _decided(request: DecideRequest, console: Console) -> tuple[dict[str, Any], Effect]:
    """What `decide_scores` says, and the primary effect."""
    check_options(request)
    found = read_scores(request)
    path = figure_path(request)
    table = found.table
    rule = declared_rule(request, table)
    check_values(request, rule, table)
    equal = check_replicates(request, rule, table)
    holes = missing(table, rule)
    notes = [*found.notes, *equal, *check_cases(request, rule, table), *notes_on(table, rule)]
    notes += alike(table) if holes["count"] else ()
    for note in notes:
        console.warn(note)
    effects = decide(table, rule)
    primary = effects[0]
    differences = [_differences(table, effect) for effect in effects]
    if path is not None:
        _write(_figure(table, primary), path)
    about = primary.inference  # without an interval where the table is incomplete or too small
    left_open = collapse_rate_left_open(about.replicates) if about.interval_95 else None
    companion = companion_of(table, primary)
    said = {
        "scores": str(request.scores),
        "figure": None if path is None else str(path),
        "verdict": primary.sentence,
        "margin": rule.margin,
        "better": LOWER if rule.measured.lower_is_better else HIGHER,
        "arms": list(table.arms),
        "effects": [effect.to_dict() for effect in effects],
        "differences": differences,
        "missing": holes,
        "failure_rate_left_open": left_open,
        "companion": companion and companion.to_dict(),
        "scope": primary.to_dict()["scope"],
        "notes": notes,
    }
    return said, primary


def _differences(table: Table, effect: Effect) -> dict[str, Any]:
    """The cells of a comparison and the means of those there are, NaN where there is none."""
    cells = table.difference(effect.baseline, effect.candidate)
    known = np.ma.masked_invalid(cells)
    return {
        "patients": list(table.patients),
        "replicates": list(table.replicates),
        "cells": cells.tolist(),
        "patient_means": known.mean(axis=1).filled(np.nan).tolist(),
        "replicate_means": known.mean(axis=0).filled(np.nan).tolist(),
    }


def _figure(table: Table, effect: Effect) -> Figure:
    """The primary comparison, under its verdict."""
    figure, measured = paired_differences(PairedDots.of(table, effect)), effect.measured
    candidate, baseline = short_name(effect.candidate), short_name(effect.baseline)
    what = f"{candidate} {MINUS} {baseline}, {measured.title}"
    read = f"({f'{LOWER_IS_BETTER}; ' * measured.lower_is_better}grey: within {effect.margin:g})"
    with style():
        figure.axes[0].set_xlabel(on_a_line(what, read))
        said = spoken(effect.word, effect.question) or "no verdict"
        figure.axes[0].set_title(fill(f"{candidate} against {baseline}: {said}", LABEL))
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
        raise unwritable("--output", "a figure that can be written", path, error) from error
