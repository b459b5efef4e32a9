"""One CT volume of one patient with its contoured structures, and the contract of a source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.base.files import digest_arrays
from harness.config.data import DataConfig

AIR_HU = -200
"""Every CT of a person has voxels below: the air about them. Cut off or shifted values have not."""


@dataclass(frozen=True)
class Scan:
    """A CT volume in canonical order.

    Attributes:
        patient: pseudonym; never an identifier or a path.
        hu: float32 or int16, (slices, rows, columns), Hounsfield units. Slices run foot to head,
            rows front to back, columns from the patient's right to the patient's left.
        masks: bool volumes like `hu`, by structure name; a structure that is not contoured has no
            entry, one that the patient truly lacks an empty one.
        affine: 4 x 4 float64, voxel index (slice, row, column, 1) -> millimetres (x to the
            patient's left, y to the back, z to the head: DICOM's LPS).
        role: the role that the source itself assigns (`train`, `validation`, `test`), or None.
        notes: warnings in words: what was left out of this patient and why.
        labels: names of the contoured regions as the planning system wrote them; empty where the
            source has no such names.
    """

    patient: str
    hu: NDArray[Any]
    masks: dict[str, NDArray[np.bool_]]
    affine: NDArray[np.float64]
    role: str | None = None
    notes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size along slices, rows and columns."""
        size = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(size[0]), float(size[1]), float(size[2])

    def content_digest(self) -> str:
        """Digest of decoded voxels, geometry and masks: no pseudonym, no file bytes."""
        bits = {f"mask/{name}": np.packbits(mask) for name, mask in self.masks.items()}
        return digest_arrays({**self._ct, **bits})

    def ct_digest(self) -> str:
        """Digest of decoded voxels and geometry, whatever the masks."""
        return digest_arrays(self._ct)

    @property
    def _ct(self) -> dict[str, NDArray[Any]]:
        return {"hu": np.asarray(self.hu, np.float32), "affine": np.round(self.affine, 4)}


def check_hu(values: NDArray[Any], declared: bool = False) -> None:
    """Refuse values that can be no HU.

    Args:
        declared: the file says how its values become HU, so that a part of the body without air is
            believed.

    Raises:
        DataError: there is no air.
    """
    least, most = values.min(), values.max()
    if least >= AIR_HU and not declared:
        raise DataError(
            f"values must be HU, with air below {AIR_HU}, but got {least:g} to {most:g}; export "
            "the CT without scaling or windowing"
        )


@dataclass(frozen=True)
class Excluded:
    """A patient that cannot be used, with the reason in words (no identifier, no path); `labels` as
    of `Scan`, as far as they were read."""

    patient: str
    reason: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reference:
    """A patient that a source can read.

    Attributes:
        patient: pseudonym, unique within the source.
        location: what `read` needs; stays inside the source, never printed or stored elsewhere.
        signature: changes when a file of the patient does (sizes and modification times).
        role: the source's own role, or None.
    """

    patient: str
    location: Any = field(repr=False)
    signature: str = ""
    role: str | None = None


class Source(Protocol):
    """Patients, one at a time. `read` never raises for a bad patient: it returns `Excluded`.

    Copies of a source read in other processes: it can be pickled.
    """

    def patients(self) -> Sequence[Reference]: ...

    def read(self, reference: Reference) -> Scan | Excluded: ...


@runtime_checkable
class BareSource(Protocol):
    """A source that also reads CT of patients who have none of the structures."""

    def read_bare(self, reference: Reference) -> Scan:
        """The CT of one patient, without masks.

        Raises:
            DataError: it cannot be read, or one of the wanted structures is contoured.
        """
        ...


def contoured(names: Sequence[str]) -> DataError:
    """What `read_bare` raises where structures are contoured."""
    return DataError(
        f"a patient of data.without_structures must have none, but {' and '.join(names)} "
        f"{'is' if len(names) == 1 else 'are'} contoured; take the patient out of it"
    )


class SourceFactory(Protocol):
    """Makes a source from the config; `folder` is private to the source inside the work folder.

    Its patients are somebody's, and kept to the user, unless the factory is `published`.
    """

    def __call__(self, config: DataConfig, folder: Path) -> Source: ...


_F = TypeVar("_F", bound=Callable[..., Any])


def published(factory: _F) -> _F:
    """Marks the factory of a source whose patients are nobody, or published for everybody."""
    factory.published = True  # type: ignore[attr-defined]
    return factory


def is_published(factory: SourceFactory) -> bool:
    """Whether a source's factory is marked so."""
    return getattr(factory, "published", False)
