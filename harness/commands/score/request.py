"""What `harness score` was asked for, checked and read."""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base.errors import ConfigError, DataError, EnvironmentFault
from harness.commands.output_folder import unwritable
from harness.commands.score.features import drawn
from harness.commands.score.image_patients import with_patients
from harness.commands.score.image_set import MOST_LABELS, ImageSet, Window, is_labels, read_images
from harness.commands.score.pixels import apart
from harness.metrics.extractors.registry import NO_FILES, ExtractorFiles, identify
from harness.metrics.extractors.weights import INCEPTION_FILE, INCEPTION_URL, find_inception

WRITABLE = "a folder that can be written"
MEANINGLESS, COARSE = 20, 100
"""Below so many images a side the scores mean nothing, or show large differences only."""


@dataclass(frozen=True)
class ScoreRequest:
    """What to score, as typed.

    Attributes:
        real, synthetic, heldout: folders of images; real is what the generator was trained on.
        window: of everything but PNG files and stores.
        patients: CSV file or expression.
        extractors: names; empty takes `auto`, or the TorchScript file where one is named.
        files: weights that extractors read.
        paired: also score pairs of one name.
        output: folder of the results.
        most: images a side that are scored; more are drawn from. Memorisation looks at all real.
        seed: draws subsets and splits.
    """

    real: Path
    synthetic: Path
    heldout: Path | None = None
    window: Window | None = None
    patients: str | None = None
    extractors: tuple[str, ...] = ()
    files: ExtractorFiles = NO_FILES
    paired: bool = False
    output: Path = Path("harness-score")
    most: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class Sets:
    real: ImageSet
    synthetic: ImageSet
    heldout: ImageSet | None

    @property
    def every(self) -> list[ImageSet]:
        return [s for s in (self.real, self.synthetic, self.heldout) if s is not None]


def check(request: ScoreRequest) -> None:
    if request.window is not None:
        low, high = request.window
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ConfigError(
                f"--window must be two numbers, the lower one first, but got {low:g} {high:g}; "
                "type e.g. --window -160 240"
            )
    output, one, other = map(_real, (request.output, request.real, request.synthetic))
    if one != other and (one.is_relative_to(other) or other.is_relative_to(one)):
        raise ConfigError(
            f"REAL and SYNTHETIC must not lie in each other, but got '{one}' and '{other}'; their "
            "images would count on both sides: move one of them"
        )
    for folder in (request.real, request.synthetic, request.heldout):
        if folder is not None and output.is_relative_to(_real(folder)):
            raise ConfigError(
                f"--output must lie outside the folders of images, but got '{request.output}' in "
                f"'{folder}'; name another one"
            )
    if output.exists() and not output.is_dir():
        raise ConfigError(
            f"--output must be a folder, but got the file '{request.output}'; name another one"
        )
    try:  # before hours of scoring
        output.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=output).close()
    except OSError as error:
        raise unwritable("--output", WRITABLE, request.output, error) from error


def _real(path: Path) -> Path:
    """Behind all links; a link to itself, which `Path.resolve` does not bear, stays."""
    return Path(os.path.realpath(path))


def extractor_names(request: ScoreRequest) -> list[str]:
    """Whom to ask, each once; weights are looked for before hours of reading."""
    file = request.files.torchscript
    wanted = list(request.extractors) or ["auto" if file is None else "torchscript"]
    if file is not None and "torchscript" not in wanted:
        wanted.append("torchscript")
    if "torchscript" in wanted and (file is None or not file.is_file()):
        raise ConfigError(
            "extractor torchscript needs an existing file, but got "
            f"{'nothing' if file is None else repr(str(file))}; name it with --torchscript FILE"
        )
    given = request.files.inception
    if given is not None and not given.is_file():
        raise EnvironmentFault(
            f"--inception-weights must be an existing file, but got '{given}'; download "
            f"{INCEPTION_URL} to it"
        )
    if "inception-v3" in wanted and find_inception(given) is None:
        raise EnvironmentFault(
            f"extractor inception-v3 needs its weights, but got no {INCEPTION_FILE}; download "
            f"{INCEPTION_URL} and name it with --inception-weights FILE"
        )
    return list(dict.fromkeys(identify(name, request.files).name for name in wanted))


def read_sets(request: ScoreRequest) -> Sets:
    roles = ("train", "validation") if request.heldout is None else ("train",)
    window, people = request.window, dict[str, str]()
    real = read_images(request.real, "real", window, roles, people)
    synthetic = read_images(request.synthetic, "synthetic", window, people=people)
    heldout = None
    if request.heldout is not None:
        heldout = read_images(request.heldout, "held-out", window, ("validation",), people)
    for other in (synthetic, heldout):
        if other is not None and other.size != real.size:
            raise DataError(
                f"both sets must have images of one size, but got {real.size} in '{real.folder}' "
                f"and {other.size} in '{other.folder}'; crop or resample one of them"
            )
    for images in (real, synthetic):
        if len(images) < 2:
            raise DataError(
                f"scores need 2 images on each side, but got 1 in '{images.folder}'; add images"
            )
    if request.patients is not None:
        if real.kind == "store" and (heldout is None or heldout.kind == "store"):
            raise ConfigError(
                "--patients is for files, but got a store, which knows its patients; leave it out"
            )
        real = real if real.kind == "store" else with_patients(real, request.patients)
        if heldout is not None and heldout.kind != "store":
            heldout = with_patients(heldout, request.patients)
    if heldout is not None:
        _check_disjoint(real, heldout)
    return Sets(real, synthetic, heldout)


def _check_disjoint(real: ImageSet, heldout: ImageSet) -> None:
    """Before features are made: an image, a folder or a patient on both sides."""
    if real.patients is None or heldout.patients is None:
        if _real(real.folder) == _real(heldout.folder):
            raise DataError(
                "--heldout must hold images the generator never saw, but got the real folder "
                f"'{heldout.folder}' itself; name another one"
            )
    elif both := sorted(set(real.patients) & set(heldout.patients)):
        raise DataError(
            f"a held-out patient must have no real image that trained, but got {len(both)} on both "
            f"sides (e.g. '{both[0]}'); split by patient"
        )
    shared = equal_images(heldout, real)
    if shared:
        name, same = shared[0]
        raise DataError(
            f"--heldout must hold images the generator never saw, but {len(shared)} of them equal "
            f"real ones pixel for pixel (e.g. '{name}' and '{same}'); take them out of one side"
        )


def equal_images(some: ImageSet, others: ImageSet) -> list[tuple[str, str]]:
    """Names of images of `some` that are in `others` as well, pixel for pixel, and of their twins;
    blank images, which are equal without being copies, are not among them."""
    known = dict(_shown(others))
    return [(name, known[digest]) for digest, name in _shown(some) if digest in known]


def _shown(images: ImageSet) -> list[tuple[bytes, str]]:
    """A digest of each image that is not blank, and its name."""
    pairs = zip(images.images, images.names, strict=True)
    return [
        (hashlib.sha256(image.tobytes()).digest(), name)
        for image, name in pairs
        if image.min() < image.max()
    ]


def _repeated(images: ImageSet, side: str) -> list[str]:
    """A note on images that a set holds more than once."""
    first: dict[bytes, str] = {}
    again = [
        (name, first[digest])
        for digest, name in _shown(images)
        if first.setdefault(digest, name) != name
    ]
    if not again:
        return []
    name, same = again[0]
    return [
        f"{side}: images there more than once, pixel for pixel: {len(again)} of {len(images)} "
        f"(e.g. '{name}' and '{same}')"
    ]


def drawn_sets(sets: Sets, request: ScoreRequest) -> tuple[ImageSet, ImageSet, list[str]]:
    """At most `most` images a side, and what that means."""
    sides = []
    notes = [note for images in sets.every for note in images.notes]
    for side, images in (("real", sets.real), ("synthetic", sets.synthetic)):
        notes += _repeated(images, side)
        rows = drawn(len(images), request.most, request.seed, f"score-{side}")
        if len(rows) < len(images):
            notes.append(
                f"{side}: {len(rows)} of {len(images)} images drawn; --most takes more, and time"
            )
        sides.append(images.take(rows))
    copies = equal_images(sets.synthetic, sets.real)
    if copies:
        name, same = copies[0]
        notes.append(
            f"{len(copies)} synthetic images equal real ones pixel for pixel (e.g. '{name}' and "
            f"'{same}')"
        )
    fewest = min(map(len, sides))
    if fewest < MEANINGLESS:
        notes.append(f"{fewest} images on a side are too few for the scores to mean anything")
    elif fewest < COARSE:
        notes.append(f"with {fewest} images on a side only large differences show")
    notes += _compared(sets)
    if request.paired:
        notes += apart(sets.real, sets.synthetic)
    return sides[0], sides[1], notes


def _compared(sets: Sets) -> Iterator[str]:
    """What differs in the geometry of the sets, where their files tell."""
    sides = dict(zip(("real", "synthetic", "held-out"), sets.every, strict=False))
    labels = [side for side, images in sides.items() if is_labels(images.images)]
    if 0 < len(labels) < len(sides):
        yield (
            f"the {' and '.join(labels)} images hold no more than {MOST_LABELS} different values, "
            "others more: are they masks or label maps?"
        )
    placed = {side: images for side, images in sides.items() if images.spacings}
    if 0 < len(placed) < len(sides):
        others = " and ".join(side for side in sides if side not in placed)
        yield (
            f"slices of the {' and '.join(placed)} volumes run to the head, rows to the back, "
            f"columns to the patient's left; {others} images are as stored: do they lie alike?"
        )
    unplaced = [side for side, images in placed.items() if images.unplaced]
    if 0 < len(unplaced) < len(placed):
        yield (
            f"the {' and '.join(unplaced)} volumes have the identity as geometry, which programs "
            "write that know none: do all sides lie alike?"
        )
    if len({spacing for images in placed.values() for spacing in images.spacings}) > 1:
        told = ", ".join(f"{side} {_extent(images.spacings)}" for side, images in placed.items())
        yield f"spacing differs and nothing is resampled: {told} mm (slices x rows x columns)"


def _extent(spacings: Sequence[tuple[float, ...]]) -> str:
    """`3 x 0.9-1.2 x 0.9-1.2`."""
    ends = [(min(steps), max(steps)) for steps in zip(*spacings, strict=True)]
    return " x ".join(f"{low:g}" if low == high else f"{low:g}-{high:g}" for low, high in ends)
