"""What `harness status` prints: a line for each experiment, or one experiment in full."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from harness.base.text import counted, duration, size
from harness.jobs.journal import in_words
from harness.jobs.lease import named


def overview(found: Mapping[str, Any]) -> list[str]:
    """The lines of a work folder."""
    lines = []
    for entry in found["experiments"]:
        lines.append(_head(entry, found["driver"]))
        lines += [f"  goes on with: {entry['again']}"] if _stopped(entry) else []
    if not lines:
        lines = [f"no experiment has begun in '{found['workdir']}'"]
    running = any(entry["state"] == "running" for entry in found["experiments"])
    if found["driver"] and not running:  # one that notes nothing: a dry run, or just begun
        lines.append(f"a command holds the work folder: {_owner(found['driver'])}")
    return [*lines, _disk(found)]


def in_full(found: Mapping[str, Any]) -> list[str]:
    """The lines of the one experiment of `found`."""
    (entry,) = found["experiments"]
    lines = [_head(entry, found["driver"])]
    for kind, counts in entry.get("jobs", {}).items():
        told = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
        lines.append(f"  {kind:<24} {told}")
    lines += [f"  {_running(job)}" for job in entry.get("running", ())]
    lines += [
        f"failed: {failure['label']}: {failure['reason']}\n        ({failure['folder']})"
        for failure in entry.get("failures", ())
    ]
    lines.append(_disk(found))
    return lines + [
        f"{what} page, written {_when(page['written'])}: {page['file']}"
        for what, page in entry["pages"].items()
    ]


def then(found: Mapping[str, Any]) -> str:
    """What to type next where one experiment stopped; else nothing."""
    (entry,) = found["experiments"]
    return str(entry["again"]) if _stopped(entry) else ""


def _stopped(entry: Mapping[str, Any]) -> bool:
    return entry["state"] in ("failed", "stopped") and bool(entry["again"])


def _head(entry: Mapping[str, Any], driver: Mapping[str, Any] | None) -> str:
    name, state = entry["experiment"], entry["state"]
    if state == "new":
        return f"{name}: no command of it was noted yet"
    command = entry["command"]
    what = f"harness {command['name']}".rstrip()
    done = _done(entry["jobs"], entry["foreseen"])
    if state == "finished":
        return f"{name}: finished: {what} ended {_when(command['ended'])}"
    if state == "running":
        seen = entry["foreseen"]
        left = f", about {duration(seen['seconds_left'])} left" if seen else ""
        return f"{name}: running: {what}, {_owner(command)}; {done}{left}"
    if state == "refused":
        return f"{name}: {what} ended with an error, which it said; {done}"
    saving = len(entry["running"])
    leaving = f"; {counted(saving, 'job')} of it still at work" if saving else ""
    was = f"process {command['pid']} on {command['host']} is gone"
    why = "a job failed" if state == "failed" else "stopped"
    held = " (another command holds the work folder)" if driver else ""
    return f"{name}: {why}: {what} did not end, {was}; {done}{leaving}{held}"


def _done(jobs: Mapping[str, Mapping[str, int]], foreseen: Mapping[str, Any] | None) -> str:
    if not jobs:
        return "no job is planned yet, patients come first"
    done = sum(counts["done"] for counts in jobs.values())
    planned = sum(sum(counts.values()) for counts in jobs.values())
    if foreseen:
        return f"{done} of {counted(max(planned, foreseen['jobs']), 'job')} done"
    return f"{done} of {counted(planned, 'job')} planned so far done"


def _owner(owner: Mapping[str, Any]) -> str:
    since = f"{_when(owner['started'])} ({duration(time.time() - owner['started'])})"
    return f"{named(owner)} since {since}" if owner["pid"] else named(owner)


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


def _running(job: Mapping[str, Any]) -> str:
    """A job under way, in a line."""
    if job["epochs"] is None:
        return f"running: {job['label']}"
    words = [f"running: {job['label']}, epoch {job['epoch']} of {job['epochs']}"]
    words += in_words(job["values"] or {})
    words += [] if job["left"] is None else [f"about {duration(job['left'])} left"]
    return ", ".join(words)


def _disk(found: Mapping[str, Any]) -> str:
    return f"disk: {size(found['bytes'])} in '{found['workdir']}', {size(found['free_bytes'])} free"
