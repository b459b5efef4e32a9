"""Which tissue each organ is made of, painted in order: the later covers the earlier."""

from __future__ import annotations

from functools import partial

import numpy as np

from harness.data.phantom import head
from harness.data.phantom.canvas import Canvas
from harness.data.phantom.gland import Gland
from harness.data.phantom.levels import Box, Points, Triple, Vector, ellipse, ellipsoid, step
from harness.data.phantom.person import Person

SKIN_HU, FAT_HU, MUSCLE_HU = 25.0, -102.0, 56.0
CORTEX_HU, MARROW_HU, VERTEBRA_HU, TOOTH_HU, METAL_HU = 1250.0, 380.0, 330.0, 1900.0, 3000.0
BRAIN_HU, CORD_HU, FLUID_HU, CELLS_HU = 36.0, 38.0, 12.0, -250.0
LYMPH_HU, SUBMANDIBULAR_HU = 40.0, 42.0


def paint_patient(canvas: Canvas, glands: dict[str, Gland]) -> None:
    """The whole patient, without noise."""
    fine, coarse = canvas.texture(1.6), canvas.texture(3.6)
    _soft_tissue(canvas, fine, coarse)
    _muscles(canvas, MUSCLE_HU + 4 * fine)
    _skull(canvas, coarse)
    _spine(canvas)
    _jaws(canvas)
    _throat(canvas)
    _small_parts(canvas, fine)
    _glands(canvas, glands, fine, coarse)


def _soft_tissue(canvas: Canvas, fine: Vector, coarse: Vector) -> None:
    """Skin, subcutaneous fat, and below it muscle streaked with fat."""
    person, points, skin = canvas.person, canvas.points, canvas.skin
    canvas.cover(skin, SKIN_HU)
    canvas.cover(skin - head.SKIN_MM, FAT_HU + 7 * fine)
    streaked = np.clip(0.42 + 0.26 * coarse + 0.16 * fine, 0, 1)
    mixed = MUSCLE_HU - 6 + (FAT_HU - MUSCLE_HU + 18) * streaked
    canvas.cover(head.under_fat(person, points, skin), mixed)


def _muscles(canvas: Canvas, muscle: Vector) -> None:
    for place, reach, turn, hu, around in _FAT_SPACES:
        space = partial(ellipsoid, centre=place, radii=reach, turn=turn)
        canvas.pair(space, FAT_HU + hu, around)
    canvas.pair(head.masseter, muscle, ((46, 68), (-46, 2), (-34, 26)))
    canvas.pair(head.sternomastoid, muscle, ((42, 68), (0, 56), (-1e4, 16)))
    for centre, radii, top in _MUSCLES:
        _column(canvas, muscle, centre, radii, top)
    for middle, extent in _BELLIES:
        box: Box = tuple((c - r, c + r) for c, r in zip(middle, extent, strict=True))  # type: ignore[assignment]
        canvas.pair(partial(ellipsoid, centre=middle, radii=extent), muscle, box)
    tongue: Box = ((-30, 30), (-74, 0), (-26, 6))
    canvas.paint(lambda p: ellipsoid(p, (0, -36, -9), (25, 34, 14)), muscle - 8, tongue)
    canvas.paint(lambda p: np.minimum(1.2 - np.abs(p[0]), 26 - np.abs(p[1] + 40)), -40, tongue, 0.5)


_FAT_SPACES: tuple[tuple[Triple, Triple, float, float, Box], ...] = (
    ((50, 6, -2), (15, 20, 30), -0.3, 12, ((30, 72), (-20, 32), (-34, 30))),
    ((31, -2, 2), (9, 13, 24), 0.5, 8, ((16, 46), (-18, 18), (-24, 28))),
    ((44, -44, 3), (9, 13, 15), 0.0, 0, ((32, 56), (-60, -28), (-14, 20))),
)
"""About the parotid, beside the pharynx, in the cheek: centre, radii, turn, HU above fat, box."""

_MUSCLES = (
    ((14, 72), (9, 9), 14.0),
    ((15, 55), (8, 6), 12.0),
    ((33, 66), (10, 8), 12.0),
    ((40, 50), (8, 9), 10.0),
    ((30, 42), (6, 6), 10.0),
    ((12, 18), (9, 5), 18.0),
)
"""Behind and beside the spine: centre, radii, upper end."""

_BELLIES = (
    ((37, -18, -6), (8.5, 17, 21)),
    ((37, -16, 20), (13, 15, 10)),
    ((44, 22, 4), (5, 6, 16)),
    ((60, -20, 34), (6, 24, 12)),
)
"""Pterygoids, digastric, temporal muscle: centre, radii."""


def _column(
    canvas: Canvas,
    muscle: Vector,
    centre: tuple[float, float],
    radii: tuple[float, float],
    top: float,
) -> None:
    def shape(points: Points) -> Vector:
        return np.minimum(ellipse(points, centre, radii), top - points[2])

    box: Box = (
        (centre[0] - radii[0], centre[0] + radii[0]),
        (centre[1] - radii[1], centre[1] + radii[1]),
        (-1e4, top),
    )
    canvas.pair(shape, muscle, box)


def _skull(canvas: Canvas, coarse: Vector) -> None:
    box: Box = ((-72, 72), (-20, 98), (2, 1e4))
    canvas.paint(head.skull, CORTEX_HU - 250 + 150 * coarse, box)
    canvas.paint(head.brain, BRAIN_HU + 2 * coarse, box)
    cells = np.where(coarse > 0.2, CELLS_HU, 450.0)
    canvas.paint(lambda p: head.mastoid(p) - 2.5, cells, ((-70, 70), (16, 46), (4, 44)))
    canvas.paint(head.ear_canals, -900.0, ((-82, 82), (4, 16), (18, 32)))


def _spine(canvas: Canvas) -> None:
    box: Box = ((-30, 30), (10, 84), (-1e4, 26))
    canvas.paint(head.vertebrae, CORTEX_HU - 450, box)
    canvas.paint(lambda p: head.vertebrae(p) - 2, VERTEBRA_HU, box)
    canvas.paint(head.canal, FLUID_HU, box)
    canvas.paint(head.cord, CORD_HU, box)


def _jaws(canvas: Canvas) -> None:
    front: Box = ((-46, 46), (-88, -20), (-1e4, 1e4))
    canvas.paint(head.maxilla, CORTEX_HU - 500, front)
    canvas.paint(head.sinuses, -940.0, front)
    jaw: Box = ((-60, 60), (-90, 12), (-34, 30))
    canvas.paint(head.mandible, CORTEX_HU, jaw)
    canvas.paint(lambda p: head.mandible(p) - 2.3, MARROW_HU, jaw)
    zygoma: Box = ((50, 72), (-56, 2), (18, 30))
    canvas.pair(lambda p: ellipsoid(p, (63, -27, 24), (3.2, 28, 3.5)), CORTEX_HU - 300, zygoma)
    if canvas.person.teeth:
        metal = TOOTH_HU if not canvas.person.metal else METAL_HU
        rows: Box = ((-34, 34), (-84, -30), (-10, 11))
        canvas.paint(head.teeth, TOOTH_HU, rows)
        canvas.paint(lambda p: np.minimum(head.teeth(p), -48 - p[1]), metal, rows, 0.6)


def _throat(canvas: Canvas) -> None:
    person = canvas.person
    box: Box = ((-22, 22), (-36, 22), (-1e4, 1e4))
    canvas.paint(lambda p: _larynx(person, p), 170.0, box)
    canvas.paint(lambda p: np.minimum(head.airway(person, p), 32 - p[2]), -990.0, box)
    canvas.paint(head.hyoid, 450.0, ((-26, 26), (-46, -6), (-44, -34)))
    mouth: Box = ((-22, 22), (-72, -24), (-1, 9))
    canvas.paint(
        lambda p: ellipsoid(p, (0, -46, 4.5), (9, 15, 3)) - 3 + 3 * person.airway, -970.0, mouth
    )


def _larynx(person: Person, points: Points) -> Vector:
    """Cartilage below the hyoid."""
    return np.minimum(2.2 - np.abs(head.airway(person, points) - 5), -46 - points[2])


def _small_parts(canvas: Canvas, fine: Vector) -> None:
    """Vessels, submandibular glands, lymph nodes."""
    person = canvas.person
    under: Box = ((26, 50), (-44, -8), (-42, -16))
    canvas.pair(head.submandibular, SUBMANDIBULAR_HU + 12 * fine, under)
    for centre, radius in (((32, 19), 3.0), ((38, 25), 5.0)):
        _column(canvas, person.vessel_hu + 3 * fine, centre, (radius, radius), 22.0)
    for x, y, z, radius in person.nodes:
        box: Box = ((x - radius, x + radius), (y - radius, y + radius), (z - 8, z + 8))
        round_ = partial(ellipsoid, centre=(x, y, z), radii=(radius, 1.2 * radius, 1.1 * radius))
        canvas.paint(round_, LYMPH_HU, box)


def _glands(canvas: Canvas, glands: dict[str, Gland], fine: Vector, coarse: Vector) -> None:
    """Glandular tissue with fat between its lobules; a vein runs through."""
    person = canvas.person
    tissue = person.gland_hu + person.texture_hu * (0.7 * fine + 0.7 * coarse)
    for gland in glands.values():
        part = canvas.lattice.part(gland.low, gland.high)
        canvas.cover(gland.level(canvas.lattice.points(part)), tissue, part)
    canvas.pair(_vein, person.vessel_hu, ((47, 59), (4, 16), (-30, 18)))


def _vein(points: Points) -> Vector:
    """The retromandibular vein."""
    return np.minimum(ellipse(points, (53.0, 10.0), (2.2, 2.2)), 16 - points[2])


def streaks(canvas: Canvas) -> Vector:
    """HU that metal in the teeth adds: rays through both rows, fading along z and with reach."""
    field = np.zeros(canvas.lattice.shape)
    x, y, z = canvas.points
    for number, angle in enumerate(canvas.person.metal):
        origin = (24 if number % 2 else -24, -40 - 5 * (number % 3))
        across = (x - origin[0]) * np.sin(angle) - (y - origin[1]) * np.cos(angle)
        along = np.hypot(x - origin[0], y - origin[1])
        ray = np.exp(-((across / 2.4) ** 2)) - 0.9 * np.exp(-(((across - 5.5) / 3) ** 2))
        field += 150 * ray * np.exp(-along / 60) * step(8 - np.abs(z), 2)
    return field
