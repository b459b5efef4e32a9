"""What `harness calibrate comparison` says: a sentence, a small table, a CSV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.base.files import csv_text
from harness.inference.simulation import BOUNDED, NO_VERDICT, WORDS


def table(rows: Sequence[dict[str, Any]]) -> str:
    """As CSV; shares 0 to 1."""
    verdicts = (*WORDS, NO_VERDICT)
    return csv_text(
        ("truth", "effect", "data", "repeats", "excludes_zero", "error", *verdicts),
        (
            (
                *(row["truth"], f"{row['effect']:.6g}", row["data"], row["repeats"]),
                *(f"{row[name]:.5f}" for name in ("excludes_zero", "error")),
                *(f"{row['verdicts'][verdict]:.5f}" for verdict in verdicts),
            )
            for row in rows
        ),
    )


def sentence(found: dict[str, Any]) -> str:
    """What this design does, in words."""
    share = _percent(found["wilcoxon_on_one_replicate"]["rejected"])
    naive = f"A plain Wilcoxon on one replicate would reject {share} where nothing differs."
    if not found["rates"]:
        return f"comparison: no interval and no verdict would be given; {found['note']}. {naive}"
    by = {(row["truth"], row["data"]): row for row in found["rates"]}
    null, real = by["none", "normal"], by["none", BOUNDED]
    margin = by["the margin", "normal"]
    text = (
        "comparison: where nothing differs, the 95 % interval excludes 0 in "
        f"{_percent(null['excludes_zero'], null['error'])} on normal data and in "
        f"{_percent(real['excludes_zero'], real['error'])} on bounded Dice; at the margin "
        f"({margin['effect']:g} Dice) in {_percent(margin['excludes_zero'])}; in 80 % at "
        f"{found['smallest_detectable']:.4f} Dice. {naive}"
    )
    if found["status"] != "verdict":
        text += f" No verdict would be given: {found['note']}."
    return text


def lines(found: dict[str, Any]) -> list[str]:
    """The design, a small table and what more it would take, for a person."""
    design = found["design"]
    deviations = ", ".join(f"{part} {sd:.4f}" for part, sd in design["components"].items())
    text = [
        f"{design['patients']} test patients, {design['replicates']} replicates; sd of the "
        f"difference in Dice: {deviations} ({design['origin']})"
    ]
    if found["rates"]:
        text.append(
            f"{found['rates'][0]['repeats']} simulated comparisons a line; shares in %, "
            "+- their Monte-Carlo error"
        )
        head = ("true difference", "interval excludes 0", "helps", "harms", "no use", "undecided")
        text.append("{:31s} {:>19s} {:>6s} {:>6s} {:>6s} {:>9s}".format(*head))
        text += [_line(row) for row in found["rates"]]
        if found["status"] == "verdict" and not found["equivalence_in_reach"]:
            text.append('"no useful effect" (no use) is out of reach of this design')
    if found["note"]:
        text.append(f"no verdict would be given: {found['note']}")
    for what, number in found["needed"].items():
        other = "replicates" if what == "patients" else "patients"
        enough = "more than 500" if number is None else str(number)
        text.append(
            f"to find the margin ({design['margin']:g}) in 80 %: {enough} {what} at these {other}"
        )
    return text


def _line(row: dict[str, Any]) -> str:
    name = f"{row['effect']:+.4f} {row['truth']}" if row["effect"] else f"none, {row['data']}"
    verdicts = row["verdicts"]
    if verdicts[NO_VERDICT] == 1:
        shares = ["-"] * 4
    else:
        less = ", by less than the margin"
        found = [verdicts[verdict] + verdicts[verdict + less] for verdict in ("helps", "harms")]
        found += [verdicts["no useful effect"], verdicts["undecided"]]
        shares = [f"{100 * share:.1f}" for share in found]
    excludes = f"{100 * row['excludes_zero']:.1f} +- {100 * row['error']:.1f}"
    return "{:31s} {:>19s} {:>6s} {:>6s} {:>6s} {:>9s}".format(name, excludes, *shares)


def _percent(share: float, error: float | None = None) -> str:
    return f"{100 * share:.1f} %" + ("" if error is None else f" (+- {100 * error:.1f})")
