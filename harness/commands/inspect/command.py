"""`harness inspect`: what a folder of DICOM files holds, for a person at their own data."""

from __future__ import annotations

import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.console import Console
from harness.base.errors import ConfigError, DataError
from harness.base.files import write_json
from harness.base.text import meant
from harness.commands.output_folder import appearing
from harness.config.data import DataConfig
from harness.data.dicom.geometry import Grid
from harness.data.dicom.people import folder_files
from harness.data.dicom.private import Pseudonyms
from harness.data.dicom.series import LEAST_HU, read_hu
from harness.data.dicom.structures import Roi
from harness.data.dicom.survey import FoundRoi, FoundSeries, Survey, survey
from harness.data.dicom.usual_names import USUAL_NAMES
from harness.data.dicom.walk import Header, held, no_folder
from harness.data.volume_files import SUFFIXES, write_volume

LISTING = "this listing"
PLAIN = 0.999
"""Least cosine of a slice normal and a body axis for the plane's name: 2.6 degrees."""

FILE = re.compile(r"(?<!\w)'[^']*'|\bfile (\d+)\b")
"""A file that a message names by its number, or what it quotes: an ROI may be called "file 2"."""
SAFE = re.compile(r"[^\w+\-]+")


def inspect_folder(
    folder: str | Path,
    masks: str | Path | None = None,
    data: DataConfig | None = None,
    workdir: str | Path = "harness-work",
    kind: str = "nifti",
    console: Console | None = None,
) -> dict[str, Any]:
    """Survey a folder and, where asked, write every mask with its image.

    Args:
        folder: of DICOM files.
        masks: folder for the masks of all ROIs with their images; must be new or empty.
        data: its structures and patterns, and the usual names, are what ROI names are looked up
            in; its `dicom` settings say what is read and how. None takes the defaults, and
            what `prepare` could take is said of every structure of a usual name.
        workdir: pseudonyms are those of this work folder, where it has any.
        kind: "nifti" or "nrrd".

    Returns:
        Plain data: `series`, `structure_sets` with their `rois`, `used` (what `prepare` takes the
        structures of each patient from), `ignored`, `masks`, and `names`, whose the pseudonyms
        are: the work folder's, or "this listing".

    Raises:
        ConfigError: there is no such folder, `masks` cannot be made, or `kind` is no format.
        DataError: there is nothing to inspect.
    """
    folder, masks = Path(folder), None if masks is None else Path(masks)
    wanted = None if data is None else data.structures
    data, console = data or DataConfig(), console or Console(quiet=True)
    names = tuple(dict.fromkeys((*data.structures, *data.patterns, *USUAL_NAMES)))
    kind = kind.lower()
    if kind not in SUFFIXES:
        hint = meant(kind, SUFFIXES, "; name one of them")
        raise ConfigError(f"--format must be nifti or nrrd, but got '{kind}'{hint}")
    if not folder.is_dir():
        raise ConfigError(
            "inspect needs an existing folder of DICOM files, but got "
            f"'{folder}': {no_folder(folder)}"
        )
    with tempfile.TemporaryDirectory() as none, _filled(masks, folder) as part:
        private = Path(workdir) / "private" / "dicom"
        kept = (private / "key").exists()
        pseudonyms = Pseudonyms(private if kept else Path(none))
        headers = folder_files(folder, None, data.dicom)
        if not any(header.kind for header in headers):
            raise DataError(
                "a folder to inspect must hold DICOM images or structure sets, but got "
                f"{held(headers)} in '{folder}'; check the path"
            )
        files = _Files(part, SUFFIXES[kind], pseudonyms.of) if part is not None else None
        with console.progress() as progress:
            progress.start("inspect", "look at series and structure sets")
            found = survey(
                headers,
                names,
                data.patterns,
                files.keep if files else None,
                lambda done, of: progress.update("inspect", done, f"of {of}"),
                wanted,
                data.dicom,
            )
            progress.finish(
                "inspect", f"{len(found.series)} series, {len(found.sets)} structure sets"
            )
        failed = files.finish(found) if files else {}
        answer = _to_dict(found, folder, headers, pseudonyms.of, failed)
        for entry in answer["used"]:
            entry["ct_alone"] = entry["patient"] in data.without_structures
        answer["names"] = str(workdir) if kept else LISTING
        answer["masks"] = {"folder": str(masks), "files": files.written} if files else None
        return answer


def _filled(masks: Path | None, source: Path) -> AbstractContextManager[Path | None]:
    """The folder to fill with masks, or None; it appears whole.

    Raises:
        ConfigError: it holds something, lies in the source, or cannot be written.
    """
    if masks is None:
        return nullcontext()
    readable = os.path.isdir(masks) and os.access(masks, os.R_OK)
    if os.path.exists(masks) and (not readable or any(masks.iterdir())):
        raise ConfigError(
            f"--masks must name a new or empty folder, but got '{masks}', which is neither; name "
            "another one"
        )
    if masks.resolve().is_relative_to(source.resolve()):
        raise ConfigError(
            f"--masks must lie outside the folder that is inspected, but got '{masks}'; name "
            "another one"
        )
    return appearing(masks, "--masks", masks, 0o700)


class _Files:
    """Masks and images below one folder: PATIENT/series-N/image and .../set-M/ROI."""

    def __init__(self, root: Path, suffix: str, name: Callable[[str], str]) -> None:
        self.root = root
        self._suffix = suffix
        self._name = name
        self.written: list[dict[str, Any]] = []
        self._taken: Counter[str] = Counter()

    def keep(self, number: int, series: FoundSeries, roi: Roi, mask: NDArray[np.bool_]) -> None:
        assert series.series is not None
        folder = self._folder(series) / f"set-{number}"
        name = SAFE.sub("_", roi.name).strip("_") or "ROI"
        place = str(folder / name).casefold()  # which some file systems do not tell apart
        self._taken[place] += 1
        again = f"__{self._taken[place]}" if self._taken[place] > 1 else ""
        path = folder / f"{name}{again}{self._suffix}"
        write_volume(path, mask, series.series.grid.affine)
        self._list(path, set=number, roi=roi.name, number=roi.number)

    def finish(self, found: Survey) -> dict[int, str]:
        """Write the image of every usable series, and the list of what each file is; returns why
        images of some series could not be."""
        failed = {}
        for entry in found.series:
            if entry.series is not None:
                path = self._folder(entry) / ("image" + self._suffix)
                try:
                    hu = read_hu(entry.series, LEAST_HU if entry.modality == "CT" else 0)
                except DataError as error:
                    failed[entry.number] = f"its image is not written: {error}"
                    continue
                write_volume(path, hu, entry.series.grid.affine)
                self._list(path, series=entry.number)
        write_json(self.root / "files.json", {"files": self.written})
        return failed

    def _folder(self, series: FoundSeries) -> Path:
        return self.root / self._name(series.patient) / f"series-{series.number}"

    def _list(self, path: Path, **of: Any) -> None:
        self.written.append({"file": path.relative_to(self.root).as_posix(), **of})


def _to_dict(
    found: Survey,
    folder: Path,
    headers: Sequence[Header],
    name: Callable[[str], str],
    failed: Mapping[int, str],
) -> dict[str, Any]:
    root = folder.resolve()

    def place(path: str) -> str:
        relative = Path(path).relative_to(root).as_posix()
        return "".join(letter if letter.isprintable() else "?" for letter in relative)

    def named(message: str) -> str:
        """Files by name where a message has their number."""
        return FILE.sub(
            lambda match: (
                f"'{place(headers[int(match[1]) - 1].path)}'"
                if 0 < int(match[1] or 0) <= len(headers)
                else match[0]
            ),
            message,
        )

    series = []
    for entry in found.series:
        described = _series_to_dict(entry, name)
        warnings = [*entry.warnings, *([failed[entry.number]] if entry.number in failed else [])]
        parents = sorted({str(Path(header.path).parent) for header in entry.files})
        described |= {"warnings": [named(warning) for warning in warnings]}
        described |= {"folders": [place(parent) for parent in parents]}
        series.append(described)
    return {
        "folder": str(folder),
        "patients": sorted(
            {name(e.patient) for e in found.series} | {name(e.patient) for e in found.sets}
        ),
        "series": series,
        "structure_sets": [
            {
                "number": entry.number,
                "patient": name(entry.patient),
                "file": place(entry.header.path),
                "series": entry.series.number if entry.series else None,
                "rois": [_roi_to_dict(roi) for roi in entry.rois],
                "warnings": [named(warning) for warning in entry.warnings],
            }
            for entry in found.sets
        ],
        "used": [
            {
                "patient": name(entry.patient),
                "structures": dict(entry.used),
                "notes": [named(note) for note in entry.notes],
            }
            for entry in found.patients
        ],
        "ignored": [
            {"file": place(header.path), "reason": header.reason} for header in found.ignored
        ],
    }


def _series_to_dict(entry: FoundSeries, name: Callable[[str], str]) -> dict[str, Any]:
    grid = entry.series.grid if entry.series else None
    size = [float(np.linalg.norm(axis)) for axis in grid.affine[:3, :3].T] if grid else None
    return {
        "number": entry.number,
        "patient": name(entry.patient),
        "modality": entry.modality,
        "files": len(entry.files),
        "shape": list(grid.shape) if grid else None,
        "spacing_mm": [round(edge, 4) for edge in size] if size else None,
        "orientation": orientation(grid) if grid else None,
        # (slice, row, column, 1) -> millimetres to the patient's left, back and head
        "affine": grid.affine.tolist() if grid else None,
    }


def _roi_to_dict(roi: FoundRoi) -> dict[str, Any]:
    return {
        "name": roi.name,
        "type": roi.interpreted,
        "contours": roi.contours,
        "voxels": roi.voxels,
        "volume_ml": None if roi.volume_ml is None else round(roi.volume_ml, 4),
        "structure": roi.structure,
        "warnings": list(roi.warnings),
    }


def orientation(grid: Grid) -> str:
    """Which plane the slices lie in: axial, coronal, sagittal or oblique."""
    normal = np.cross(grid.affine[:3, 2], grid.affine[:3, 1])
    cosines = np.abs(normal) / np.linalg.norm(normal)
    planes = ("sagittal", "coronal", "axial")
    nearest = int(np.argmax(cosines))
    return planes[nearest] if cosines[nearest] > PLAIN else "oblique"
