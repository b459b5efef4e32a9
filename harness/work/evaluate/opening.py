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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.base.errors import RuleError
from harness.base.files import digest_of, sha256_file
from harness.base.owned import look_before
from harness.data.pairs.store import Store
from harness.jobs.context import Context
from harness.work.specs import EARLIER_LOOK


def open_test(context: Context) -> None:
    """Check that the segmenters are what was trained, enter the opening, store it."""
    store = Store.open(context.input("store") / "store")
    patients = sorted(p["digest"] for p in store.meta["patients"] if p["role"] == "test")
    others = "store", EARLIER_LOOK
    segmenters = {n: _verified(context, n) for n in context.spec.inputs if n not in others}
    entry = {
        "patients": patients,
        "rule": digest_of(context.spec.config["rule"]),
        "segmenters": digest_of(segmenters),
    }
    looks = _earlier_looks(context)
    look_before(context.folder.path)
    extended = enter(context.work.root / "openings.jsonl", entry, looks)
    values = {**entry, "test_patients": len(patients), "extended": extended}
    context.finish([], values | ({"looks": [*looks, entry["segmenters"]]} if looks else {}))


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


def _verified(context: Context, name: str) -> str:
    """Content digest of a segmenter whose weights still are what its result says."""
    result = context.input_result(name)
    for file, recorded in result["outputs"].items():
        if sha256_file(context.input(name) / file) != recorded:
            raise RuleError(
                f"the weights of {name} must be those that were trained, but they changed on disk; "
                "delete that job's folder and repeat the command"
            )
    return str(result["content"])


def enter(path: Path, entry: dict[str, Any], looks: Sequence[str] = ()) -> bool:
    """Append `entry` under the file's lock; True if it extends an earlier, different opening.

    The same entry twice (a crash between entering and storing) counts as one.

    Args:
        looks: digests of the segmenters of earlier looks, of which this is the next.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        text = file.read()
        whole = text[: text.rfind("\n") + 1]
        if whole != text:  # a crash in mid-write left half a line: it was never entered
            file.truncate(len(whole.encode()))
        earlier = [json.loads(line) for line in whole.splitlines()]
        for known in earlier:
            if all(known[key] == entry[key] for key in entry):
                return bool(known["extended"])
        extended = any(
            {*known["patients"]} & {*entry["patients"]}
            for known in earlier
            if known["rule"] != entry["rule"] or known["segmenters"] not in looks
        )
        line = {**entry, "extended": extended, "time": time.time()}
        line |= {"continues": True} if looks else {}
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return extended
