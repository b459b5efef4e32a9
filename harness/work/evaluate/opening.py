"""Job kind `opening`: open the test, once, after all training, under a declared rule.

The opening is also entered in `openings.jsonl` of the work folder, with the content digests of the
test patients. If another entry opened any of them before (under another rule, for other segmenters
or with other patients beside them), this opening is an extension: it is labelled and carries no
verdict. A look that the rule declares extends nothing: it opens the same patients for the
segmenters of the look before and further ones.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from harness.base import damage
from harness.base.errors import Damaged, RuleError
from harness.base.files import digest_of
from harness.base.owned import look_before
from harness.data.pairs.store import Store
from harness.jobs.context import Context
from harness.jobs.folder import JobFolder, WorkFolder
from harness.work.specs import EARLIER_LOOK


def open_test(context: Context) -> None:
    """Enter the opening of the test for the segmenters as they are, store it."""
    store = Store.open(context.input("store") / "store")
    patients = sorted(p["digest"] for p in store.meta["patients"] if p["role"] == "test")
    others = "store", EARLIER_LOOK
    trained = [name for name in context.spec.inputs if name not in others]
    segmenters = {name: str(context.input_result(name)["content"]) for name in trained}
    entry = {
        "patients": patients,
        "rule": digest_of(context.spec.config["rule"]),
        "segmenters": digest_of(segmenters),
    }
    looks = _earlier_looks(context)
    seen = {"looks": [*looks, entry["segmenters"]]} if looks else {}
    values = {**entry, "test_patients": len(patients), "extended": False, **seen}
    look_before(context.folder.path)
    register = context.work.root / "openings.jsonl"
    values["extended"] = enter(register, entry, looks, _kept(context.work), values)
    context.finish([], values)


@dataclass(frozen=True)
class Kept:
    """What a work folder tells of openings beside their register.

    Attributes:
        entries: of the openings that have a result, as the register should hold them.
        lost: asked where the register is damaged or gone: content digests of openings that test
            scores stand on and that have no result.
    """

    entries: Sequence[Mapping[str, Any]] = ()
    lost: Callable[[], set[str]] = set


def _kept(work: WorkFolder) -> Kept:
    results = [
        JobFolder(p.parent).result() for p in sorted(work.jobs.glob("opening/*/result.json"))
    ]
    found = [result for result in results if result is not None]
    entries = []
    for result in sorted(found, key=lambda result: result["finished"]):
        values = result["values"]
        entry = {name: values[name] for name in ("patients", "rule", "segmenters", "extended")}
        more = {"continues": True} if "looks" in values else {}
        entries.append({**entry, "time": result["finished"], **more})

    def lost() -> set[str]:
        scores = map(JobFolder, work.jobs.glob("test-score/*"))
        inputs = [(score.result() or {}).get("inputs", {}) for score in scores]
        stood_on = {named["opening"] for named in inputs if "opening" in named}
        return stood_on - {result["content"] for result in found}

    return Kept(entries, lost)


def _earlier_looks(context: Context) -> list[str]:
    """Digests of the segmenters at the looks before this one, under the same rule."""
    if EARLIER_LOOK not in context.spec.inputs:
        return []
    reference = context.spec.inputs[EARLIER_LOOK]
    before, rule = context.work.job(reference).spec(), context.spec.config["rule"]
    ours = context.spec.inputs.items()
    if before.config["rule"] != rule or not {*before.inputs.items()} - {*ours} <= {
        (EARLIER_LOOK, before.inputs.get(EARLIER_LOOK))
    }:
        raise RuleError(
            "a look must be at the segmenters of the look before and further ones, under the same "
            "rule, but got others; delete the folder of this job and repeat the command"
        )
    values = context.input_result(EARLIER_LOOK)["values"]
    return [*values.get("looks", [values["segmenters"]])]


def enter(
    path: Path,
    entry: dict[str, Any],
    looks: Sequence[str] = (),
    kept: Kept | None = None,
    values: Mapping[str, Any] | None = None,
) -> bool:
    """Append `entry` under the file's lock; True if it extends an earlier, different opening.

    The same entry twice (a crash between entering and storing) counts as one. What the register
    lacks of openings that have a result is entered again, which is noted; where the register is
    damaged or gone and test scores stand on an opening of which nothing else is left, this one is
    taken for an extension of it, unless it is the very same.

    Args:
        looks: digests of the segmenters of earlier looks, of which this is the next.
        kept: what the work folder tells beside the register.
        values: of the opening's result, should it extend nothing.
    """
    kept = kept or Kept()
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8", errors="replace") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        earlier, damaged = _in_order(path, file, kept.entries)
        gone = kept.lost() if damaged else set()
        if values is not None:
            gone.discard(digest_of({"outputs": {}, "values": dict(values)}))
        for known in earlier:
            if all(known[key] == entry[key] for key in entry):
                return bool(known["extended"])
        extended = any(
            {*known["patients"]} & {*entry["patients"]}
            for known in earlier
            if known["rule"] != entry["rule"] or known["segmenters"] not in looks
        )
        extended = extended or bool(gone)
        line = {**entry, "extended": extended, "time": time.time()}
        line |= {"continues": True} if looks else {}
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return extended


def _in_order(
    path: Path, file: TextIO, entries: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], bool]:
    """The register's entries, after what it lacks of `entries` was written into it, and whether it
    had been damaged or empty."""
    file.seek(0)
    text = file.read()
    # A crash in mid-write leaves half a line, which was never entered.
    lines = text[: text.rfind("\n") + 1].splitlines()
    earlier = [known for line in lines if (known := _read(line)) is not None]
    unreadable = len(earlier) < len(lines)
    lacking = [dict(known) for known in entries if not _among(earlier, known)]
    earlier += lacking
    if unreadable or lacking or text[-1:] not in ("", "\n"):
        file.truncate(0)
        file.writelines(json.dumps(known) + "\n" for known in earlier)
        file.flush()
    if unreadable or lacking:
        then = "it was brought in order from the results of openings"
        damage.note(Damaged(path, "lines were missing or could not be read", then))
    return earlier, unreadable or not lines


def _read(line: str) -> dict[str, Any] | None:
    """A line of the register; None where it is none."""
    try:
        known = json.loads(line)
        {*known["patients"]}, known["rule"], known["segmenters"], known["extended"]
    except (KeyError, TypeError, ValueError):
        return None
    return dict(known)


def _among(earlier: Sequence[Mapping[str, Any]], entry: Mapping[str, Any]) -> bool:
    same = ("patients", "rule", "segmenters", "extended")
    return any(all(known[name] == entry[name] for name in same) for known in earlier)
