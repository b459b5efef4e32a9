"""Which test patient is in which subgroup: a part of the rule, from CT and contours alone.

Thresholds are the training patients'. A CSV of the user's has a column `patient` (pseudonyms, as
`patients.csv` of a report has them) and one for each further factor.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.base.errors import ConfigError
from harness.base.text import first_of
from harness.config.decision import DecisionConfig
from harness.data.pairs.framing import channel_of
from harness.data.quality.scan_summary import METAL_HU
from harness.inference.subgroups import SIDE
from harness.work.prepare.patient_index import IndexedPatient

METAL_ML = 0.1
SMALL = 0.25  # quantile of training patients' volumes below which structures are small

Declared = dict[str, dict[str, Any]]
Patients = Sequence[IndexedPatient]
# What a factor means, the group of those that have it, that of the others, who has it.
Parts = tuple[str, str, str, Mapping[str, bool]]


def declare_subgroups(
    decision: DecisionConfig, patients: Patients, roles: Mapping[str, str]
) -> Declared:
    """By factor `words`, and `groups`: digests of test patients by group, or, of the side, names
    of structures; or `left_out`, why there are none.

    Raises:
        ConfigError: the CSV does not say the groups of the test patients.
    """
    train = [patient for patient in patients if roles.get(patient.digest) == "train"]
    test = [patient for patient in patients if roles.get(patient.digest) == "test"]
    found: Declared = {}
    for name in decision.subgroups:
        words, one, other, has = _FACTORS[name](train, test)
        groups = {g: sorted(d for d in has if has[d] == (g == one)) for g in (one, other)}
        found[name] = {"words": words, "groups": groups}
        if not all(groups.values()):
            alone = next((group for group, members in groups.items() if members), "sideless")
            found[name] = {"words": words, "left_out": f"all are {alone}"}
    if decision.subgroups_file is not None:
        known = {patient.patient for patient in patients}
        found |= _from_file(Path(decision.subgroups_file).expanduser(), test, known, found)
    return found


def _metal(train: Patients, test: Patients) -> Parts:
    words = f"over {METAL_ML:g} ml above {METAL_HU:,} HU in the slices of the structures"
    has = {patient.digest: patient.scan_summary.metal_ml > METAL_ML for patient in test}
    return words, "metal", "no metal", has


def _small(train: Patients, test: Patients) -> Parts:
    """By the mean of a patient's volumes, each relative to the median of its structure, sides
    together, among training patients."""
    volumes: dict[str, list[float]] = {}
    for patient in train:
        for name, ml in patient.scan_summary.volumes_ml.items():
            volumes.setdefault(channel_of(name, True)[0], []).append(ml)

    def size(patient: IndexedPatient) -> float:
        of = patient.scan_summary.volumes_ml.items()
        return float(np.mean([ml / np.median(volumes[channel_of(n, True)[0]]) for n, ml in of]))

    limit = float(np.quantile([size(patient) for patient in train], SMALL))
    words = f"volumes below {limit:.3g} times training patients' median, as a quarter of them has"
    return words, "small", "not small", {p.digest: size(p) < limit for p in test}


def _spacing(train: Patients, test: Patients) -> Parts:
    limit = round(float(np.median([patient.scan_summary.spacing_mm[0] for patient in train])), 4)
    words = f"slices thicker than training patients' median of {limit:.3g} mm"
    has = {p.digest: round(p.scan_summary.spacing_mm[0], 4) > limit for p in test}
    return words, "thicker", f"up to {limit:.3g} mm", has


def _side(train: Patients, test: Patients) -> Parts:
    """Of structures, not of patients."""
    names = {name for patient in test for name in patient.structures}
    has = {n: n.endswith("_left") for n in names if n.endswith(("_left", "_right"))}
    return "structures NAME_left and NAME_right of the same patients", "left", "right", has


_FACTORS = {"metal": _metal, "small": _small, "spacing": _spacing, SIDE: _side}


def _from_file(
    path: Path, test: Patients, known: Collection[str], taken: Collection[str]
) -> Declared:
    def refuse(must: str, got: str) -> ConfigError:
        return ConfigError(f"decision.subgroups_file ('{path.name}') must {must}, but got {got}")

    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = [[cell.strip() for cell in line] for line in csv.reader(file) if any(line)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or "no CSV in UTF-8"
        raise refuse("be a CSV file", f"none: {why}; check the path") from error
    head = lines[0] if lines else []
    named = ["patient", *taken, *(name for name in head if name != "patient")]
    if "patient" not in head or len(head) < 2 or len({*named} - {""}) < len(taken) + len(head):
        must = "have a column patient and one for each factor, by names of their own"
        raise refuse(must, ", ".join(head) or "nothing")
    rows = [dict(zip(head, (*line, *("" for _ in head)), strict=False)) for line in lines[1:]]
    of = {row["patient"]: row for row in rows}
    listed = [row["patient"] for row in rows]
    if twice := sorted({name for name in listed if listed.count(name) > 1}):
        raise refuse("have a row for each patient", f"several of {first_of(twice, 5)}; keep one")
    if strange := [name for name in of if name not in known]:
        got = f"{first_of(strange, 5)}; take the names of patients.csv beside a report"
        raise refuse("name usable patients of this experiment only", got)
    found: Declared = {}
    for factor in (name for name in head if name != "patient"):
        without = [p.patient for p in test if not of.get(p.patient, {}).get(factor)]
        if without:
            got = f"none of {first_of(without, 5)}; add them"
            raise refuse(f"say the {factor} of every test patient", got)
        groups: dict[str, list[str]] = {}
        for patient in sorted(test, key=lambda p: (of[p.patient][factor], p.digest)):
            groups.setdefault(of[patient.patient][factor], []).append(patient.digest)
        if len(groups) < 2:
            got = f"'{next(iter(groups), '')}' alone; remove that column"
            raise refuse(f"have two groups of test patients or more for {factor}", got)
        found[factor] = {"words": f"as {path.name} says", "groups": groups}
    return found
