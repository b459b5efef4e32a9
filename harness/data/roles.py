"""Who trains, validates and tests: by patient content, never by pseudonym or folder order."""

from __future__ import annotations

from collections.abc import Mapping

from harness.base.errors import DataError
from harness.base.rng import seed_of
from harness.config.data import PatientLimits, RolesConfig

ROLES = ("train", "validation", "test")


def assign_roles(
    patients: Mapping[str, str | None], config: RolesConfig, limit: PatientLimits
) -> dict[str, str]:
    """Give every patient a role, then keep the first ones of each.

    Args:
        patients: content digest of each patient -> the role that its source gives, or None.
        config: how roles are assigned.
        limit: most patients of each role; the first in digest order stay.

    Returns:
        Digest -> role in digest order; patients beyond a limit are left out.

    Raises:
        DataError: a source role is missing or unknown, or there are too few patients.
    """
    assigned = _from_source(patients) if config.by == "source" else _at_random(patients, config)
    kept: dict[str, str] = {}
    for role in ROLES:
        members = sorted(digest for digest, given in assigned.items() if given == role)
        most: int | None = getattr(limit, role)
        kept |= dict.fromkeys(members[:most], role)
    return dict(sorted(kept.items()))


def _from_source(patients: Mapping[str, str | None]) -> dict[str, str]:
    without = sum(role is None for role in patients.values())
    if without:
        raise DataError(
            "data.roles.by: source needs a role from the source for every patient, but got none "
            f"for {without} of {len(patients)}; set data.roles.by to random"
        )
    assigned = {digest: str(role) for digest, role in patients.items()}
    odd = sorted(set(assigned.values()) - set(ROLES))
    if odd:
        raise DataError(
            f"roles must be {', '.join(ROLES)}, but got {', '.join(odd)} from the source; set "
            "data.roles.by to random"
        )
    if "train" not in assigned.values():
        raise DataError(
            f"someone who has the structures must train, but got no train role among "
            f"{len(patients)} patients; set data.roles.by to random"
        )
    return assigned


def _at_random(patients: Mapping[str, str | None], config: RolesConfig) -> dict[str, str]:
    """Ranked by a number drawn for each digest, so a new patient moves few others."""
    ranked = sorted(patients, key=lambda digest: (seed_of(config.seed, "roles", digest), digest))
    test, validation = (  # rounded half up, at least one of a share above zero
        max(1, int(len(ranked) * share + 0.5)) if share > 0 else 0
        for share in (config.test, config.validation)
    )
    least = 1 + (config.test > 0) + (config.validation > 0)
    if len(ranked) < least:
        raise DataError(
            f"an experiment with these roles needs {least} usable patients or more who have the "
            f"structures, but got {len(ranked)}; add patients"
        )
    if test + validation >= len(ranked):
        raise DataError(
            "every role needs a patient and someone must train, but got "
            f"{len(ranked)} patients for {test} test and {validation} validation; add patients or "
            "lower data.roles.validation and data.roles.test"
        )
    return {
        digest: "test" if rank < test else "validation" if rank < test + validation else "train"
        for rank, digest in enumerate(ranked)
    }
