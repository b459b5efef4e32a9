"""Who trains, who validates, who tests: by patient content, before anything is fitted."""

from __future__ import annotations

from collections.abc import Mapping

from harness.base.errors import DataError
from harness.base.streams import generator
from harness.config.data import PatientLimits, RolesConfig

ROLES = ("train", "validation", "test")


def assign_roles(
    patients: Mapping[str, str | None], config: RolesConfig, limit: PatientLimits
) -> dict[str, str]:
    """Role of every used patient.

    Args:
        patients: content digest -> the source's own role, or None.
        config: `by: source` takes the source's roles; `by: random` shuffles by content digest, so
            that neither pseudonyms nor the order of folders matter.
        limit: keeps the first patients of each role, in content order; the others are left out.

    Raises:
        DataError: a patient lacks a role, or a role would get nobody.
    """
    roles = _from_source(patients) if config.by == "source" else _shuffled(list(patients), config)
    kept: dict[str, str] = {}
    for role in ROLES:
        members = sorted(digest for digest, own in roles.items() if own == role)
        kept |= dict.fromkeys(members[: getattr(limit, role)], role)
    if "train" not in kept.values():
        raise DataError("somebody must train, but no patient has the role 'train'; see data.roles")
    return dict(sorted(kept.items()))


def _from_source(patients: Mapping[str, str | None]) -> dict[str, str]:
    without = sum(role not in ROLES for role in patients.values())
    if without:
        raise DataError(
            f"data.roles.by 'source' needs a source that names roles, but {without} of "
            f"{len(patients)} patients have none; use `by: random`"
        )
    return {digest: role for digest, role in patients.items() if role is not None}


def _shuffled(digests: list[str], config: RolesConfig) -> dict[str, str]:
    count = len(digests)
    order = generator(config.seed, "roles").permutation(count)
    mixed = [sorted(digests)[index] for index in order]
    tests = _share(count, config.test)
    validations = _share(count, config.validation)
    if tests + validations >= count:
        raise DataError(
            f"{count} patients must fill three roles, but got {validations} for validation and "
            f"{tests} for test; add patients or lower the shares in data.roles"
        )
    roles = ["test"] * tests + ["validation"] * validations
    roles += ["train"] * (count - len(roles))
    return dict(zip(mixed, roles, strict=True))


def _share(count: int, share: float) -> int:
    """Patients of a role: rounded, at least one where the share is above zero."""
    return max(1, round(count * share)) if share > 0 else 0
