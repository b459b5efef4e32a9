"""Folds of an exported dataset: all pairs of a patient in one, generated pairs never held out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.base.errors import DataError
from harness.base.files import digest_of


def deal(patients: Iterable[str], folds: int, seed: int) -> dict[str, int]:
    """Fold of each patient, by content digest: dealt in turn in an order drawn by the seed.

    Raises:
        DataError: fewer patients than folds.
    """
    people = set(patients)
    if len(people) < folds:
        least = f"type --folds {len(people)}" if len(people) > 1 else "export needs two at least"
        raise DataError(
            "every fold needs a training patient of its own, but got "
            f"{len(people)} for {folds} folds; {least}"
        )
    order = sorted(people, key=lambda digest: digest_of([seed, "folds", digest]))
    return {digest: place % folds for place, digest in enumerate(order)}


def split(
    real: Mapping[str, str],
    generated: Iterable[str],
    folds: Mapping[str, int],
    only_generated: bool,
) -> list[dict[str, list[str]]]:
    """nnU-Net's `splits_final.json`: generated cases train in every fold and validate in none.

    Args:
        real: patient digest by case.
        folds: by patient digest.
        only_generated: real cases train in no fold.
    """
    others = sorted(generated)
    splits = []
    for fold in range(max(folds.values()) + 1):
        held = sorted(case for case, digest in real.items() if folds[digest] == fold)
        shown = [] if only_generated else sorted(set(real) - set(held))
        splits.append({"train": shown + others, "val": held})
    return splits
