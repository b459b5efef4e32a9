"""The data: patients by role, who is left out and why, what crops lose, real pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.base.text import MINUS, flat
from harness.data.roles import ROLES
from harness.report.data import PatientLine, ReportData
from harness.report.pairs import real_pairs
from harness.report.picture_budget import Picture, PictureBudget

PAIRS_SHOWN = 12


@dataclass(frozen=True)
class Patients:
    """The section."""

    roles: list[tuple[str, int, str]]
    used: Sequence[PatientLine]
    excluded: Sequence[PatientLine]
    noted: int
    values: list[tuple[str, str]]
    pairs: Picture | None


def make_patients(data: ReportData, budget: PictureBudget) -> Patients:
    """Patients by role with their structures, and a sheet of training pairs."""
    used = [line for line in data.patients if not line.excluded]
    roles = []
    for role in (*ROLES, *sorted({line.role for line in used} - set(ROLES))):
        members = [line for line in used if line.role == role]
        structures = Counter(name for line in members for name in line.structures)
        words = ", ".join(f"{name} {count}" for name, count in sorted(structures.items()))
        roles.append((role, len(members), words))
    return Patients(
        roles=roles,
        used=sorted(used, key=lambda line: (role_place(line.role), line.patient)),
        excluded=sorted((p for p in data.patients if p.excluded), key=lambda line: line.patient),
        noted=sum(bool(line.notes) for line in used),
        values=_values(data.store_values),
        pairs=_pairs(data, budget),
    )


def _values(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Counts of pairs as they are, shares of the structure that crops lose as percentages."""
    lost = values.get("lost", {})
    rest = {name: value for name, value in values.items() if name not in ("lost", "patients")}
    return flat(rest) + [(name, f"{100 * share:.2f} %") for name, share in lost.items()]


def window_words(window_hu: tuple[float, float]) -> str:
    """Its two ends, HU."""
    return "{:g} to {:g} HU".format(*window_hu).replace("-", MINUS)


def role_place(role: str) -> int:
    """Where a role stands among them; another word comes last."""
    return ROLES.index(role) if role in ROLES else len(ROLES)


def _pairs(data: ReportData, budget: PictureBudget) -> Picture | None:
    sheet = real_pairs(data.store, PAIRS_SHOWN)
    if sheet is None:
        return None
    window = window_words(data.experiment.data.window_hu)
    caption = (
        "Real pairs of training patients, spread evenly over the store: CT in the window "
        f"{window}, mask outlined."
    )
    return budget.image(sheet, "Real pairs with outlined masks", caption, most=110_000)
