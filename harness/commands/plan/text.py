"""What `harness plan` says: a sentence, a small table, a CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.base.files import csv_text
from harness.base.text import counted, duration, percent
from harness.commands.plan.spread import ASSUMED
from harness.inference.design import FLOORS
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


def sentence(found: Mapping[str, Any]) -> str:
    """The cheapest design, what the hours allow, and what the experiment's own design does."""
    parts = _cheapest(found), _affordable(found), _own(found)
    return "plan: " + " ".join(part for part in parts if part)


def _cheapest(found: Mapping[str, Any]) -> str:
    best, limits = found["cheapest"], found["limits"]
    margin = f"{found['margin']:g} {found['unit']}".rstrip()
    if best:
        return (
            f"the cheapest design that sees the margin of {margin} in 80 %, of "
            f"{counted(limits['patients'], 'test patient')}: {_design(found, best)} ({FLOORS})."
        )
    most, cohorts = _size(limits["patients"], limits["replicates"]), limits["cohorts"]
    if cohorts["way"] == "disjoint":
        most += f" (cohorts of {cohorts['size']} of {limits['pool']} training patients)"
    if not limits["verdict"]:
        return f"no design has a verdict of at most {most}: {FLOORS}; {found['needed']}"
    return f"no design of at most {most} sees the margin of {margin} in 80 %; {found['needed']}"


def _affordable(found: Mapping[str, Any]) -> str:
    hours, within, best = found["hours"], found["affordable"], found["cheapest"]
    if hours is None or found["cost"] is None or not found["limits"]["verdict"]:
        return ""
    if within is None:
        return f"In {hours:g} h no design has a verdict: {FLOORS}."
    more = f"That is more than {hours:g} h, in which"
    return (
        f"{more if best and best['hours'] > hours else f'In {hours:g} h'} the design's smallest "
        f"effect is {within['detectable']:.4f} {found['unit']}: {_design(found, within)}."
    )


def _own(found: Mapping[str, Any]) -> str:
    """What comes out of the design that the experiment declares."""
    if not found["rates"]:
        size = _size(found["patients"], found["replicates"])
        return f"The experiment's own, {size}, has no interval and no verdict: {found['note']}."
    by = {
        key: f"{100 * row['excludes_zero']:.1f} % (+- {100 * row['error']:.1f})"
        for row in found["rates"]
        for key in [(row["truth"], row["data"])]
    }
    return (
        f"The experiment's own, {_design(found, found['own'])}: where nothing differs, the 95 % "
        f"interval excludes 0 in {by['none', 'normal']} on normal data"
        + (f" and in {by['none', BOUNDED]} on bounded ones" if ("none", BOUNDED) in by else "")
        + f"; at the margin in {by['the margin', 'normal']}; the design's smallest effect, seen in "
        f"80 %, is {found['own']['detectable']:.4f} {found['unit']}."
        + (f" It has no verdict: {found['note']}." if found["note"] else "")
    )


def _size(patients: int, replicates: int) -> str:
    return f"{counted(patients, 'test patient')} and {counted(replicates, 'replicate')}"


def _design(found: Mapping[str, Any], design: Mapping[str, Any]) -> str:
    """Numbers, of whose training patients the replicates are, and hours where they are known."""
    text, cohorts = _size(design["patients"], design["replicates"]), found["limits"]["cohorts"]
    if cohorts["way"] != "fixed":
        text += f", each with {cohorts['size']} of {found['limits']['pool']} training patients"
        text += f", of which two share {percent(design['overlap'])}"
    hours = design["hours"]
    return text if hours is None else f"{text}, {duration(3600 * hours)} on this machine"


def lines(found: Mapping[str, Any]) -> list[str]:
    """The spread and where it is from, then the simulated comparisons, for a person."""
    spread = found["spread"]
    deviations = ", ".join(f"{part} {sd:.4f}" for part, sd in spread["components"].items())
    text = [f"sd of the difference in {found['measure']}: {deviations} ({spread['source']})"]
    if found["limits"]["cohorts"]["way"] != "fixed" and spread["source"] == ASSUMED:
        text.append(f"replicates vary by their cohorts too: {ASSUMED}.replicate must hold that")
    if found["untimed"]:
        text.append(f"planned without hours: {found['untimed']}")
    if found["rates"]:
        text.append(
            f"{found['rates'][0]['repeats']} simulated comparisons a line, with the experiment's "
            "own numbers; shares in %, +- their Monte-Carlo error"
        )
        head = ("true difference", "interval excludes 0", "helps", "harms", "no use", "undecided")
        text.append(ROW.format(*head))
        text += [_line(row) for row in found["rates"]]
        if found["status"] == "verdict" and not found["equivalence_in_reach"]:
            text.append('"no useful effect" (no use) is out of reach of this design')
    return text


ROW = "{:35s} {:>19s} {:>6s} {:>6s} {:>6s} {:>9s}"


def _line(row: Mapping[str, Any]) -> str:
    name = f"{row['effect']:+.4f} {row['truth']}" if row["effect"] else f"none, {row['data']}"
    verdicts = row["verdicts"]
    if verdicts[NO_VERDICT] == 1:
        shares = ["-"] * 4
    else:
        less = ", by less than the margin"
        found = [verdicts[verdict] + verdicts[verdict + less] for verdict in ("helps", "harms")]
        found += [verdicts["no useful effect"], verdicts["undecided"]]
        shares = [f"{100 * share:.1f}" for share in found]
    return ROW.format(
        name, f"{100 * row['excludes_zero']:.1f} +- {100 * row['error']:.1f}", *shares
    )
