"""Look at everything that a run needs, in the order in which a run would need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.commands.doctor.finding import Finding
from harness.commands.doctor.software import databases, extractors, packages, python


def doctor(workdir: Path) -> dict[str, Any]:
    """{"findings": [{"about", "level", "said"}], "possible": whether runs are}; makes nothing."""
    found = [*python(), *packages()]
    if all(finding.level != "fault" for finding in found):  # else the rest cannot be imported
        found += _rest(workdir)
    return {
        "findings": [asdict(finding) for finding in found],
        "possible": all(finding.level != "fault" for finding in found),
    }


def _rest(workdir: Path) -> list[Finding]:
    from harness.commands.doctor.gpu import devices
    from harness.commands.doctor.machine import cores, disk, memory, place

    own = [cores(), memory(), place(workdir), disk(workdir)]
    return [*devices(), *own, *extractors(), *databases(workdir)]


def lines(found: Mapping[str, Any]) -> list[str]:
    """What a person reads: a line each."""
    listed = [f"{f['level']:<8} {f['about']}: {f['said']}" for f in found["findings"]]
    warnings = sum(finding["level"] == "warning" for finding in found["findings"])
    if not found["possible"]:
        return [*listed, "runs are impossible here until the faults are mended"]
    return [*listed, "runs are possible" + (", read the warnings first" if warnings else "")]
