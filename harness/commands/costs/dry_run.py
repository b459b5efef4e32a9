"""`--dry-run`: what a command takes, by part and in all, and whether this machine has it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from harness.base.disk import free_bytes
from harness.base.text import aligned, counted, duration, size
from harness.commands.chosen_settings import choice, why_untunable
from harness.commands.costs import forecast as ahead
from harness.commands.costs.forecast import Part
from harness.commands.costs.score_timing import make_stage, timed_score, warning
from harness.commands.costs.step_timing import Memory, memory_here, network_size
from harness.commands.session import Session
from harness.data.pairs.framing import channels_of
from harness.data.pairs.store import Store
from harness.jobs.kinds import KINDS
from harness.jobs.spec import Request
from harness.sweep.space import longest
from harness.training.precision import Precision
from harness.work.specs import section_of

BYTES_PER_WEIGHT = 4
SKIPPED_BY_NULL = ("mask", "image", "segmentation")
"""Parts that `sweep` declares."""
BYTES_PER_STATE_WEIGHT = 12
"""Of a saved state: weights and Adam's two moments, float32."""


def dry_run(session: Session, keys: Sequence[str]) -> dict[str, Any]:
    """Say what parts of a command take on this machine; nothing is trained.

    Args:
        keys: of `costs.forecast.NAMES`.
    """
    parts, per_unit = ahead.plan_ahead(session, keys), ahead.seconds_per_unit(session, now=True)
    per_unit |= _scores(session, parts)
    sizes = {
        section: network_size(session.experiment, section, session.specs.compute_of(kinds[0]))
        for section, kinds in ahead.TRAININGS.items()
    }
    memory = memory_here(session.compute["device"])  # after the steps, which took it
    told = [_told(session, part, per_unit, sizes) for part in parts]
    found: dict[str, Any] = {
        "parts": told,
        "jobs": sum(part["jobs"] for part in told),
        "trainings": sum(part["trainings"] for part in told),
        "seconds": ahead.seconds_left(session, parts, per_unit),
        "bytes": sum(part["bytes"] for part in told),
        "free_bytes": free_bytes(session.root),
        "workers": ahead.workers_of(session),
        "memory": vars(memory),
        "seconds_per_unit": per_unit,
    }
    found["problems"] = [*_memory_problem(found["workers"], memory), *_disk_problem(found)]
    for line in _lines(found, memory):
        session.console.say(line)
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if busy > 1.5 * (os.cpu_count() or 1):
        session.console.warn(
            f"the machine is busy (load {busy:.1f}): times are of now, and alone they are shorter"
        )
    if (
        list(keys) == ["comparison"]
        and not choice(session).of_arm
        and not why_untunable(session.experiment)
    ):
        session.console.say(
            "not in it: both sides' choice of their segmenter's settings, without which they train "
            "under the experiment's; harness sweep --dry-run says what that takes"
        )
    for text in (*_score_warnings(parts, per_unit), *_at_most(session, parts), *found["problems"]):
        session.console.warn(text)
    return {"plan": found}


def _scores(session: Session, parts: Sequence[Part]) -> dict[str, float]:
    """Seconds of a score of each stage that the parts score."""
    kinds = {request.spec.kind for part in parts for request in part.requests}
    store = Store.open(session.work.job(session.store).verified() / "store")
    found = {}
    for stage in ("mask", "image"):
        if f"{stage}-score" in kinds:
            settings = getattr(session.experiment, stage)
            precision = Precision.of(session.specs.compute_of(f"{stage}-stage"))
            weights = make_stage(settings, store, precision)[0].weights()
            found[f"{stage}-score"] = timed_score(
                session.work, session.specs, session.store, settings, weights, session.runtime()
            )
    return found


def _told(
    session: Session,
    part: Part,
    per_unit: dict[str, float],
    sizes: dict[str, tuple[int, int]],
) -> dict[str, Any]:
    return {
        "part": part.name,
        "key": part.key,
        "jobs": len(part.requests),
        "trainings": part.trainings,
        "seconds": ahead.seconds_left(session, [part], per_unit),
        "bytes": sum(_bytes(session, request, sizes) for request in part.requests),
    }


def _bytes(session: Session, request: Request, sizes: dict[str, tuple[int, int]]) -> int:
    """Weights of a training, states that others go on from, or the pairs that a job makes."""
    kind, data = request.spec.kind, session.experiment.data
    if KINDS.get(kind).training:
        parameters, kept = sizes[section_of(kind)]
        states = len(request.branches) * parameters * BYTES_PER_STATE_WEIGHT
        return len(request.epochs) * kept * BYTES_PER_WEIGHT + states
    # CT in float32, a byte for each mask.
    pixel = 4 + len(channels_of(data.structures, data.mirror))
    return int(request.spec.config.get("pairs", 0)) * data.crop.frame_px**2 * pixel


def _lines(found: dict[str, Any], memory: Memory) -> list[str]:
    rows = [("part", "trainings", "jobs", "time", "disk")]
    for part in (*found["parts"], {**found, "part": "in all"}):
        numbers = str(part["trainings"]), str(part["jobs"])
        rows.append((part["part"], *numbers, duration(part["seconds"]), size(part["bytes"])))
    workers, fits = found["workers"], "" if found["problems"] else "; this machine has it"
    left_out = [part["key"] for part in found["parts"] if part["key"] in SKIPPED_BY_NULL]
    skip = " ".join(f"-s sweep.{key}=null" for key in left_out)
    return [
        *aligned(rows),
        *([f"without the searches: {skip}"] if skip else []),
        f"with {counted(workers, 'worker')} of {size(memory.worker)} memory each, of which "
        f"{size(memory.free)} are free, and {size(found['free_bytes'])} free on the disk{fits}",
    ]


def _memory_problem(workers: int, memory: Memory) -> list[str]:
    most = memory.devices * (memory.free // max(1, memory.worker))
    if workers <= most:
        return []
    change = f"take --workers {most}" if most else "take a smaller width or batch_size"
    return [
        f"memory must hold {counted(workers, 'worker')} of {size(memory.worker)}, but "
        f"{size(memory.free)} are free{' on a GPU' if memory.of_gpu else ''}; {change}"
    ]


def _disk_problem(found: dict[str, Any]) -> list[str]:
    if found["bytes"] <= found["free_bytes"]:
        return []
    return [
        f"the work folder's disk must have {size(found['bytes'])}, but {size(found['free_bytes'])} "
        "are free; make room, name another --workdir, or lower metrics.scored_epochs"
    ]


def _score_warnings(parts: Sequence[Part], per_unit: dict[str, float]) -> list[str]:
    """Where scoring takes a large share of a sweep."""
    found = []
    for part in parts:
        if part.key in ("mask", "image"):
            taken = dict.fromkeys(("score", "train"), 0.0)
            for kind, units in ahead.Work.of(part.requests).units.items():
                if kind in per_unit:
                    taken["score" if kind.endswith("-score") else "train"] += units * per_unit[kind]
            said = warning(part.key, taken["score"] / max(taken["train"], 1e-9))
            found += [said] if said else []
    return found


def _at_most(session: Session, parts: Sequence[Part]) -> list[str]:
    """How long trials may become that a sampler has yet to choose."""
    sweep = session.experiment.sweep
    stages = [part.key for part in parts if part.key in ("mask", "image")]
    ranges = [
        f"{longest(getattr(sweep, stage), getattr(session.experiment, stage).schedule.epochs)} "
        f"({stage})"
        for stage in stages
        if "schedule.epochs" in getattr(sweep, stage).space
    ]
    if sweep.sampler == "grid" or not ranges:
        return []
    return [
        "trials are counted as if drawn at random; those that the search prefers may be longer, up "
        f"to {' and '.join(ranges)} epochs each"
    ]
