"""What `harness decide` is asked: options as typed, and the comparisons that they declare."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.base.errors import ConfigError, DataError
from harness.base.text import meant
from harness.config.measures import DICE, Measure
from harness.inference.decision import DecisionRule
from harness.inference.layout import CROSSED
from harness.inference.looks import look_at
from harness.inference.observer import with_observer
from harness.inference.score_columns import NAMED_BY_WORD, Columns
from harness.inference.scores_file import ScoresFile, read_scores_file
from harness.inference.table import Table

FORMATS = (".png", ".svg")
VALUE = replace(DICE, name="value", title="value", unit="")
"""Its margin is that of values in 0 to 1, where none is given."""
HIGHER, LOWER = "higher", "lower"


@dataclass(frozen=True)
class DecideRequest:
    """What to decide, as typed.

    Attributes:
        scores: CSV file.
        baseline, candidates: of the primary comparison; several candidates are one family.
        margin: smallest difference that matters, in the unit of the values; None: not said.
        secondary: further comparisons, each BASELINE:CANDIDATE.
        output: of the figure; None: no figure.
        better: which values are better, `higher` or `lower`; None: not said.
        columns: what the file calls them, but for the values.
        value: the column of values; None: `value`.
        deterministic: arms in which nothing is random, so that their replicates are equal.
        unpaired, other_centres: as in `Layout`.
        looked_at: candidates that were looked at on these patients before.
        looks: numbers of replicates at which it was declared to look, with commas; None: at all.
        observer: the arm that is a second observer, and so the baseline; None: there is none.
    """

    scores: Path
    baseline: str | None = None
    candidates: tuple[str, ...] = ()
    margin: float | None = None
    secondary: tuple[str, ...] = ()
    output: Path | None = None
    better: str | None = None
    columns: Columns = NAMED_BY_WORD
    value: str | None = None
    deterministic: tuple[str, ...] = ()
    unpaired: bool = False
    other_centres: bool | None = None
    looked_at: int = 0
    looks: str | None = None
    observer: str | None = None

    @property
    def measured(self) -> Measure:
        """What the values are: the file does not say it, so the sentences do not either."""
        named = replace(VALUE, name=self.value or VALUE.name, title=self.value or VALUE.title)
        return replace(named, lower_is_better=self.better == LOWER)


def check_options(request: DecideRequest) -> None:
    """What can be wrong before the file is read."""
    margin = request.margin
    if margin is not None and not (math.isfinite(margin) and margin > 0):
        raise ConfigError(
            f"--margin must be a number above 0, but got {margin:g}; it is the smallest difference "
            "that matters to you, in the unit of the values"
        )
    if request.better not in (None, HIGHER, LOWER):
        raise ConfigError(
            f"--better must be {HIGHER} or {LOWER}, but got '{request.better}'; a Dice is better "
            f"{HIGHER}, a distance {LOWER}"
        )
    if request.looked_at < 0:
        raise ConfigError(
            f"--looked-at must be 0 or more, but got {request.looked_at}; it is how many other "
            "candidates were looked at on these patients before"
        )
    if request.observer is None:
        return
    if request.baseline not in (None, request.observer):
        raise ConfigError(
            f"--observer names the baseline, but got '{request.observer}' beside --baseline "
            f"'{request.baseline}'; leave --baseline out"
        )
    if request.unpaired:
        raise ConfigError(
            f"--observer '{request.observer}' has one value per patient, which every replicate "
            "is compared with, but got --unpaired; leave it out"
        )


def of_each_measure(
    request: DecideRequest,
    values: Sequence[str],
    margins: Sequence[float],
    better: Sequence[str],
) -> list[DecideRequest]:
    """One request for each column of values, with its own margin and direction.

    Raises:
        ConfigError: several columns and not as many margins or directions, or a figure of them.
    """
    counts = {"--margin": len(margins), "--better": len(better)}
    for option, count in counts.items():
        if count > max(1, len(values)) or (len(values) > 1 and count != len(values)):
            raise ConfigError(
                f"{option} must be given once for each --value, in their order, but got {count} "
                f"for {max(1, len(values))}; a margin and a direction are those of one measure"
            )
    if len(values) < 2:
        one, way = next(iter(margins), None), next(iter(better), None)
        return [replace(request, value=next(iter(values), None), margin=one, better=way)]
    if len(set(values)) < len(values):
        raise ConfigError(f"--value must name each column once, but got {', '.join(values)}")
    if request.output is not None:
        raise ConfigError(
            f"--output draws one measure, but got {len(values)} of --value; draw each by a command "
            "of its own"
        )
    return [
        replace(request, value=value, margin=margin, better=way)
        for value, margin, way in zip(values, margins, better, strict=True)
    ]


def figure_path(request: DecideRequest) -> Path | None:
    """Where the figure goes, if anywhere; the scores must be a file."""
    scores, path = request.scores, request.output
    if path is None:
        return None
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


def read_scores(request: DecideRequest) -> ScoresFile:
    """The file, its table with what the options say of it.

    Raises:
        ConfigError, DataError: it cannot be read, or has no centres that an option is about.
    """
    columns = replace(request.columns, value=request.value)
    found = read_scores_file(request.scores, columns, once=request.observer)
    layout = found.table.layout
    if request.other_centres is not None and not layout.centre:
        raise ConfigError(
            "--other-centres and --these-centres need a column of centres, but got none in "
            f"'{request.scores}'; name it with --centre COLUMN"
        )
    layout = replace(layout, unpaired=request.unpaired, other_centres=request.other_centres)
    table = Table(found.table.cells, layout=layout)
    if request.observer is not None:
        check_arm(request.observer, table.arms, "--observer")
        table = with_observer(table, request.observer)
    return replace(found, table=table)


def declared_rule(request: DecideRequest, table: Table) -> DecisionRule:
    """The declared comparisons; their direction is never guessed."""
    arms = table.arms
    if len(arms) < 2:
        raise DataError(
            f"a comparison needs two arms, but got only '{arms[0]}' in '{request.scores}'; add the "
            "rows of another one"
        )
    baseline, candidates = _primary(request, arms)
    secondary = tuple(_pair(text, arms) for text in request.secondary)
    pairs = [*((baseline, candidate) for candidate in candidates), *secondary]
    for index, pair in enumerate(pairs):
        if pair[0] == pair[1]:
            raise ConfigError(
                f"a comparison needs two arms, but got '{pair[0]}' twice; name another one"
            )
        if {*pair} in [{*other} for other in pairs[:index]]:
            again = f"--candidate {pair[1]}" if index < len(candidates) else "this --secondary"
            raise ConfigError(
                f"each pair of arms is compared once, but got '{pair[0]}:{pair[1]}' again; leave "
                f"{again} out"
            )
    margin = VALUE.margin if request.margin is None else request.margin
    return DecisionRule(
        baseline,
        candidates[0],
        margin,
        secondary,
        request.measured,
        tuple(candidates[1:]),
        request.looked_at,
        _looks(request, table),
        request.observer is not None,
    )


def _looks(request: DecideRequest, table: Table) -> tuple[int, ...]:
    """The declared looks, of which the table is one."""
    if request.looks is None:
        return ()
    try:
        looks = tuple(int(part) for part in request.looks.split(","))
    except ValueError:
        raise ConfigError(
            f"--looks must be numbers with commas between them, but got '{request.looks}'; name "
            "e.g. 5,8,10"
        ) from None
    if table.layout != CROSSED:
        raise ConfigError(
            "--looks is for patients and replicates alone, but got a table of another layout; "
            "leave it out"
        )
    look_at(len(table.replicates), looks)
    return looks


def _primary(request: DecideRequest, arms: Sequence[str]) -> tuple[str, Sequence[str]]:
    if request.observer is not None:
        request = replace(request, baseline=request.observer)
    if request.baseline is not None:
        check_arm(request.baseline, arms, "--baseline")
    for name in request.candidates:
        check_arm(name, arms, "--candidate")
    if len(arms) == 2 and bool(request.baseline) != bool(request.candidates):
        # The other one can only be the other one.
        one = request.baseline or request.candidates[0]
        (other,) = (arm for arm in arms if arm != one)
        return request.baseline or other, request.candidates or [other]
    given = {"--baseline": request.baseline, "--candidate": request.candidates}
    if request.baseline is None or not request.candidates:
        lacking = " and ".join(option for option, named in given.items() if not named)
        raise ConfigError(
            f"{lacking} must name an arm, but got nothing; the file has {', '.join(arms)}: the "
            "difference is candidate - baseline"
        )
    return request.baseline, request.candidates


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
        check_arm(arm, arms, "--secondary")
    return splits[0]


def check_arm(name: str, arms: Sequence[str], option: str) -> None:
    """`option` names one of the arms."""
    if name not in arms:
        hint = meant(name, arms, "; name one of them")
        raise ConfigError(
            f"{option} must be one of the arms {', '.join(arms)}, but got '{name}'{hint}"
        )


def compared_arms(table: Table, rule: DecisionRule) -> list[str]:
    """The arms that the comparisons name, in the order of the file."""
    pairs = [*rule.primaries, *rule.secondary]
    return [arm for arm in table.arms if any(arm in pair for pair in pairs)]
