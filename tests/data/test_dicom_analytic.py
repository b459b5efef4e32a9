"""Shapes whose volume and inside are formulas, from contours through DICOM files to masks.

Shapes lie in patient coordinates. Their contours are the zero line of the implicit function in each
slice plane; the truth is the formula of the volume, and the sign of the function at voxel centres.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from factories.dicom import placed, save, save_series, series_datasets, structure_dataset, to_mm
from numpy.typing import NDArray
from skimage.measure import find_contours

from harness.config.data import DicomConfig
from harness.data.dicom.geometry import Grid, reorient, reorient_affine
from harness.data.dicom.notes import at_stake
from harness.data.dicom.raster import draw
from harness.data.dicom.survey import survey
from harness.data.dicom.walk import walk
from harness.data.scan import Scan
from harness.data.sources.dicom import DicomFolder

MOST_ERROR = 1.0  # per cent of the volume
LEAST_DICE = 0.99
LEAST_POINTS = 200  # of the outlines of the widest slice of a shape without straight edges
FINE = 0.4  # pixels between the places where a plane is looked at
Points = NDArray[np.float64]


def turned(*degrees: float) -> Points:
    """Rotation about the first axis, then the second, the third."""
    made = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        one, other = [number for number in range(3) if number != axis]
        about = np.eye(3)
        about[one, one] = about[other, other] = np.cos(angle)
        about[one, other], about[other, one] = -np.sin(angle), np.sin(angle)
        made = about @ made
    return made


# --- shapes: negative inside, points in mm about their centre ------------------------------------


@dataclass(frozen=True)
class Shape:
    """A solid: `function` of points (..., 3), negative inside; `keyhole` joins a hole's outline."""

    volume_ml: float
    function: Callable[[Points], Points]
    keyhole: bool = False


def ball(radius: float) -> Shape:
    volume = 4 / 3 * np.pi * radius**3 / 1000
    return Shape(volume, lambda p: np.linalg.norm(p, axis=-1) - radius)


def ellipsoid(*half: float) -> Shape:
    turn = turned(20, -15, 30)
    volume = 4 / 3 * np.pi * float(np.prod(half)) / 1000
    return Shape(volume, lambda p: (np.linalg.norm(p @ turn / half, axis=-1) - 1) * min(half))


def torus(ring: float, tube: float) -> Shape:
    """Its axis is near the left-right axis, so that slices show a ring's two sides and its hole."""
    turn = turned(0, 12, 25)

    def function(points: Points) -> Points:
        p = points @ turn
        return np.hypot(np.hypot(p[..., 1], p[..., 2]) - ring, p[..., 0]) - tube

    return Shape(2 * np.pi**2 * ring * tube**2 / 1000, function)


def shell(outer: float, inner: float) -> Shape:
    """A ball without a smaller one beside its centre: annuli, each as one keyholed contour."""
    whole, hole = ball(outer), ball(inner)
    beside = np.array([4.0, -3.0, 2.0])
    return Shape(
        whole.volume_ml - hole.volume_ml,
        lambda p: np.maximum(whole.function(p), -hole.function(p - beside)),
        keyhole=True,
    )


def island(outer: float, hole: float, inner: float) -> Shape:
    """A ball with a hole and a ball in the hole, as contours of their own."""
    a, b, c = ball(outer), ball(hole), ball(inner)
    return Shape(
        a.volume_ml - b.volume_ml + c.volume_ml,
        lambda p: np.maximum(a.function(p), np.minimum(-b.function(p), c.function(p))),
    )


def comb(teeth: int, width: float, gap: float, length: float, height: float) -> Shape:
    """Thin teeth on a back, smaller toward both ends as a ball's slices are.

    At z its outline is scaled by s(z) = sqrt(1 - (z / height)^2), so that its volume is the area of
    the outline times the integral of s^2, 4 / 3 height.
    """
    back, span = 8.0, teeth * width + (teeth - 1) * gap
    starts = -span / 2 + np.arange(teeth) * (width + gap)
    turn = turned(0, 0, 17)

    def box(x: Points, y: Points, left: float, right: float, top: float, bottom: float) -> Points:
        return np.maximum.reduce([left - x, x - right, top - y, y - bottom])

    def function(points: Points) -> Points:
        p = points @ turn
        z = p[..., 2] / height
        scale = np.sqrt(np.clip(1 - z**2, 1e-6, None))
        x, y = p[..., 0] / scale, p[..., 1] / scale
        found = box(x, y, -span / 2, span / 2, -length / 2 - back, -length / 2)
        for start in starts:
            tooth = box(x, y, start, start + width, -length / 2 - back, length / 2)
            found = np.minimum(found, tooth)
        return np.where(np.abs(z) < 1, found * scale, np.abs(z) - 1 + 1e-3)

    area = span * back + teeth * width * length
    return Shape(area * 4 / 3 * height / 1000, function)


SHAPES = {
    "ball": ball(20.0),
    "ellipsoid": ellipsoid(14.0, 19.0, 27.0),
    "torus": torus(19.0, 9.5),
    "keyholed_shell": shell(21.5, 12.0),
    "hole_and_island": island(21.5, 15.0, 9.0),
    "comb": comb(teeth=9, width=2.4, gap=2.2, length=32.0, height=22.0),
}

# --- geometries ----------------------------------------------------------------------------------

OBLIQUE = turned(18, -14, 0)
TILTED = turned(15, 0, 0)
TABLE_STEP = np.array([0.0, 0.0, 3.0])
CENTRE = np.array([13.7, -41.3, 87.9])


@dataclass(frozen=True)
class Geometry:
    shape: tuple[int, int, int]
    affine: Points


def geometry(
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    turn: Points,
    step: Points | None = None,
) -> Geometry:
    """A grid about CENTRE; `step` is that of the table where the gantry is tilted."""
    shear = np.zeros(3) if step is None else step - turn[:, 2] * spacing[0]
    affine = placed(shape, spacing, [*turn[:, 0], *turn[:, 1]], (0, 0, 0), shear)
    middle = (np.array(shape) - 1) / 2 + (0.13, 0.37, -0.21)  # no symmetry between grid and shape
    affine[:3, 3] = CENTRE - affine[:3, :3] @ middle
    return Geometry(shape, affine)


GEOMETRIES = {
    "3 x 0.98 x 0.98 mm": geometry((24, 64, 66), (3.0, 0.98, 0.98), np.eye(3)),
    "2.5 x 0.78 x 1.17 mm": geometry((28, 80, 56), (2.5, 0.78, 1.17), np.eye(3)),
    "oblique, 2.5 x 0.98 x 0.98 mm": geometry((28, 66, 66), (2.5, 0.98, 0.98), OBLIQUE),
    "tilted gantry, 3 x 0.98 x 0.98 mm": geometry(
        (24, 72, 66), (3.0, 0.98, 0.98), TILTED, TABLE_STEP
    ),
}


def outlines(shape: Shape, grid: Geometry) -> list[Points]:
    """Contours of every slice, in mm."""
    rows, columns = (np.arange(0, size - 1 + FINE / 2, FINE) for size in grid.shape[1:])
    plane = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)
    made = []
    for level in range(grid.shape[0]):
        places = np.concatenate([np.full((*plane.shape[:2], 1), float(level)), plane], axis=-1)
        found = find_contours(shape.function(to_mm(grid.affine, places) - CENTRE), 0.0)
        rings = [np.column_stack([np.full(len(r), level), r * FINE]) for r in map(bends, found)]
        rings = [joined(rings)] if shape.keyhole and len(rings) == 2 else rings
        made += [to_mm(grid.affine, ring) for ring in rings]
    return made


def bends(ring: Points) -> Points:
    """A closed ring without the points that lie on the straight line between their neighbours."""
    ring = ring[:-1]
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    kept = ring[np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]) > 1e-9]
    return np.concatenate([kept, kept[:1]])


def joined(rings: list[Points]) -> Points:
    """One contour: around the outside, over a bridge, around the hole, and back."""
    outer, inner = sorted(rings, key=lambda ring: -np.ptp(ring[:, 1]))
    gaps = np.linalg.norm(outer[:-1, None] - inner[None, :-1], axis=-1)
    leave, arrive = np.unravel_index(gaps.argmin(), gaps.shape)
    outer, inner = np.roll(outer[:-1], -leave, axis=0), np.roll(inner[:-1], -arrive, axis=0)
    return np.concatenate([outer, outer[:1], inner, inner[:1]])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The structure set of a geometry, made once."""
    folder = tmp_path_factory.mktemp("structures")

    def write(name: str) -> Path:
        path = folder / f"{sorted(GEOMETRIES).index(name)}.dcm"
        if not path.exists():
            contours = {n: outlines(shape, GEOMETRIES[name]) for n, shape in SHAPES.items()}
            save(structure_dataset(contours), path)
        return path

    return write


def image_of(grid: Geometry) -> NDArray[np.int16]:
    return np.random.default_rng(5).integers(-900, 900, grid.shape).astype(np.int16)


def read_back(
    folder: Path, volume: NDArray[np.int16], affine: Points, structures: Path, seed: int = 0
) -> Scan:
    """Through files whose names and instance numbers say nothing about the place of a slice."""
    datasets = series_datasets(volume, affine)
    random = np.random.default_rng(seed)
    for dataset, number in zip(datasets, random.permutation(len(datasets)), strict=True):
        dataset.InstanceNumber = int(number)
    save_series([datasets[place] for place in random.permutation(len(datasets))], folder)
    shutil.copy(structures, folder / "structures.dcm")
    source = DicomFolder(folder, tuple(SHAPES), {}, folder.parent / "private", b"0" * 32)
    scan = source.read(*source.patients())
    assert isinstance(scan, Scan), scan
    return scan


# --- tests ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_has_the_size_of_a_gland_and_many_points(name: str) -> None:
    assert 25 <= SHAPES[name].volume_ml <= 45
    most: dict[float, int] = {}
    for outline in outlines(SHAPES[name], GEOMETRIES["3 x 0.98 x 0.98 mm"]):
        level = round(float(outline[0, 2]), 3)
        most[level] = most.get(level, 0) + len(outline)
    assert max(most.values()) >= LEAST_POINTS or name == "comb"


@pytest.mark.parametrize("name", GEOMETRIES)
def test_masks_have_the_volume_and_the_inside_of_their_formula(
    tmp_path: Path, written: Callable[[str], Path], name: str
) -> None:
    grid = GEOMETRIES[name]
    scan = read_back(tmp_path / "files", image_of(grid), grid.affine, written(name))
    centres = to_mm(scan.affine, np.stack(np.indices(scan.hu.shape), axis=-1)) - CENTRE
    voxel_ml = abs(np.linalg.det(scan.affine[:3, :3])) / 1000
    print(f"\n{name:36}{'volume error %':>16}{'Dice':>9}")
    for shape, solid in SHAPES.items():
        truth, mask = solid.function(centres) < 0, scan.masks[shape]
        error = 100 * (mask.sum() * voxel_ml / solid.volume_ml - 1)
        dice = 2 * (mask & truth).sum() / (mask.sum() + truth.sum())
        print(f"{shape:36}{error:16.2f}{dice:9.4f}")
        assert abs(error) < MOST_ERROR, shape
        assert dice > LEAST_DICE, shape
    assert survey_volumes(tmp_path / "files") == pytest.approx(
        {shape: scan.masks[shape].sum() * voxel_ml for shape in SHAPES}
    )


def survey_volumes(folder: Path) -> dict[str, float | None]:
    [found] = survey(walk(folder, None), tuple(SHAPES), {}).sets
    return {roi.name: roi.volume_ml for roi in found.rois}


TURNS = {
    "feet first": ((0, 1, 2), (True, False, True)),
    "prone": ((0, 1, 2), (False, True, True)),
    "slices from the head down": ((0, 1, 2), (True, False, False)),
    "rows along the columns": ((0, 2, 1), (False, False, False)),
}
"""How the same voxels are written: axes of the grid, flips."""


@pytest.mark.parametrize("name", GEOMETRIES)
def test_masks_depend_neither_on_the_patients_orientation_nor_on_the_order_of_slices(
    tmp_path: Path, written: Callable[[str], Path], name: str
) -> None:
    grid, structures = GEOMETRIES[name], written(name)
    volume = image_of(grid)
    plain = read_back(tmp_path / "plain", volume, grid.affine, structures)
    assert set(plain.masks) == set(SHAPES)
    for seed, (turn, (axes, flips)) in enumerate(TURNS.items(), 1):
        affine = reorient_affine(grid.affine, grid.shape, axes, flips)
        other = read_back(
            tmp_path / str(seed), reorient(volume, axes, flips), affine, structures, seed
        )
        assert np.abs(plain.affine - other.affine).max() < 1e-4, turn
        assert np.array_equal(plain.hu, other.hu), turn
        for shape in SHAPES:
            assert np.array_equal(plain.masks[shape], other.masks[shape]), (turn, shape)


def circle(centre: Points, radius: float, count: int = 720) -> Points:
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    flat = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(count)])
    return np.asarray(centre + radius * flat)


def lens(radius: float, apart: float) -> float:
    """Area that two circles of one radius share."""
    half = apart / 2
    return 2 * (radius**2 * np.arccos(half / radius) - half * np.sqrt(radius**2 - half**2))


@pytest.mark.parametrize("apart", [4.0, 12.0, 23.0])
def test_two_circles_that_cross_and_their_lens(apart: float) -> None:
    """Ten slices of two strokes of one structure; areas are formulas."""
    radius, levels = 15.0, range(3, 13)
    shape = (20, 90, 90)
    affine = placed(shape, (3.0, 0.9, 0.9), origin=(0, 0, 0))
    grid = Grid(affine, shape, tuple(range(20)))
    contours = [
        circle(np.array([40.2 + side * apart / 2, 40.1, 3.0 * level]), radius)
        for level in levels
        for side in (-1, 1)
    ]
    voxel_ml, height = 3.0 * 0.9**2 / 1000, 3.0 * len(levels) / 1000
    odd, union = draw(contours, grid), draw(contours, grid, "union")
    shared = lens(radius, apart)
    whole = 2 * np.pi * radius**2 - shared
    assert list(odd.crossing) == [3.0 * level for level in levels]
    assert sum(odd.crossing.values()) == pytest.approx(shared * height, rel=0.02)
    assert odd.mask.sum() * voxel_ml == pytest.approx((whole - shared) * height, rel=0.02)
    assert union.mask.sum() * voxel_ml == pytest.approx(whole * height, rel=0.01)
    assert union.united == pytest.approx(shared * height, rel=0.02)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_shapes_whose_outlines_are_listed_twice_and_rounded(name: str) -> None:
    """Every outline again to 0.1 mm, from another point and backwards; holes stay holes."""
    of = GEOMETRIES[name]
    grid = Grid(of.affine, of.shape, tuple(range(of.shape[0])))
    for shape in ("torus", "keyholed_shell", "hole_and_island"):
        contours = outlines(SHAPES[shape], of)
        again = [np.round(np.roll(c[::-1], len(c) // 3, axis=0), 1) for c in contours]
        found, once = draw([*contours, *again], grid), draw(contours, grid)
        assert found.repeats + found.near_repeats == len(contours), shape
        assert np.array_equal(found.mask, once.mask), shape
        assert not once.crossing, shape
        assert not once.overrun, shape


def test_the_setting_reaches_the_masks_and_the_survey(tmp_path: Path) -> None:
    """From files: two strokes of a structure on ten slices, read by either rule."""
    shape, affine = (12, 60, 60), placed((12, 60, 60), (3.0, 1.0, 1.0), origin=(0, 0, 0))
    strokes = [circle(np.array([x, 29.6, 3.0 * z]), 12.0) for z in range(1, 11) for x in (24, 36)]
    files = tmp_path / "files"
    save_series(series_datasets(np.zeros(shape, np.int16), affine), files)
    save(structure_dataset({"gland": strokes}), files / "structures.dcm")
    whole = 2 * np.pi * 12.0**2 - lens(12.0, 12.0)
    for overlap, area in (("xor", whole - lens(12.0, 12.0)), ("union", whole)):
        chosen = DicomConfig.model_validate({"overlap": overlap})
        source = DicomFolder(files, ("gland",), {}, tmp_path / "private", b"0" * 32, chosen)
        scan = source.read(*source.patients())
        assert isinstance(scan, Scan)
        assert scan.masks["gland"].sum() * 0.003 == pytest.approx(area * 0.03, rel=0.02)
        assert any(map(at_stake, scan.notes)) == (overlap == "xor")
        [found] = survey(walk(files, None), ("gland",), {}, dicom=chosen).sets
        assert found.rois[0].voxels == scan.masks["gland"].sum()
        assert scan.notes == tuple(f"gland: {words}" for words in found.rois[0].warnings)
