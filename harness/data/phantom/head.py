"""Organs of the head and neck as level functions of head coordinates.

x to the patient's left, y to the back, z up, in mm of an average head; the origin lies in the
middle of the head at the level of the parotids. Paired organs take points with x outwards.
"""

from __future__ import annotations

import numpy as np

from harness.data.phantom.levels import (
    Points,
    Vector,
    between,
    blend,
    ellipse,
    ellipsoid,
    everything,
    parabola,
    step,
)
from harness.data.phantom.person import Person

VERTEBRA_MM = 17.0
SKULL_MM = 6.0
SKIN_MM = 1.8


def outward(points: Points, sign: float) -> Points:
    """Points with x pointing outwards on one side."""
    return points[0] * sign, points[1], points[2]


def body(person: Person, points: Points) -> Vector:
    """The skin surface: an oval that narrows to the neck below the jaw and widens to the
    shoulders, with nose, ears and some unevenness."""
    x, y, z = points
    jaw, shoulder = step(z + 27, 3.5), step(-z - 72, 9)
    width = (59 + 13 * step(z + 20, 7) + 4 * step(z - 18, 8) + 52 * shoulder) * person.width
    front = (60 + 34 * jaw - 6 * step(z - 24, 6) + 14 * shoulder) * person.depth
    back = (76 + 22 * step(z - 2, 12) + 6 * shoulder) * person.depth
    reach = np.where(y < 0, front, back)
    taper = 1 - (0.12 + 0.26 * jaw) * np.clip(-y / front, 0, 1) ** 2
    flat_x, flat_y = np.abs(x) / (width * taper), np.abs(y) / reach
    oval = (flat_x**2 * np.sqrt(flat_x) + flat_y**2 * np.sqrt(flat_y)) ** 0.4
    level = np.sqrt(x * x + y * y) * (1 / np.maximum(oval, 1e-3) - 1)
    level = level + 0.9 * _uneven(person, points)
    nose = ellipsoid(points, (0, -92, 20), (11, 14, 15))
    ears = ellipsoid((np.abs(x), y, z), (77 * person.width, 15, 24), (5, 13, 20))
    return blend(blend(level, nose, 8), ears, 4)


def _uneven(person: Person, points: Points) -> Vector:
    waves = [
        np.sin(a * points[0] + b * points[1] + c * points[2] + phase)
        for a, b, c, phase in person.waves
    ]
    return np.asarray(sum(waves), np.float64)


def under_fat(person: Person, points: Points, skin: Vector) -> Vector:
    """What lies below subcutaneous fat; `skin` is the level of the body there."""
    x, y, z = points
    cheek = np.exp(-(((np.abs(x) - 52) / 18) ** 2) - ((y + 42) / 22) ** 2 - (z / 30) ** 2)
    nape = np.exp(-((x / 40) ** 2) - ((y - 85) / 25) ** 2) * step(12 - z, 8)
    depth = SKIN_MM + person.fat * (0.8 + 0.9 * cheek + 1.1 * nape)
    return np.asarray(skin - depth, np.float64)


def mandible(points: Points) -> Vector:
    """A horseshoe: body and chin below the teeth, rami rising behind them."""
    _, y, z = points
    ramus = step(z + 7, 1.5)
    thick = 5.0 - 1.7 * ramus
    arch = thick - np.abs(parabola(points, -80, 84, 49))
    cut = -84 + 50 * ramus + 6 * step(z - 12, 3)
    lower = z + 29 - 0.11 * (y + 80)
    notch = 26 - z - 10 * np.exp(-(((y + 20) / 7) ** 2))
    return everything(arch, y - cut, 0.12 * z - 4 - y, lower, notch)


def teeth(points: Points) -> Vector:
    """Two rows of crowns."""
    x, y, z = points
    arch = 4.2 - np.abs(parabola(points, -78, 46, 25))
    gaps = 1.4 * np.abs(np.sin((np.abs(x) + 0.75 * (y + 78)) * np.pi / 9))
    rows = np.maximum(between(z, -8.5, -0.6), between(z, 0.6, 9))
    return everything(arch - 1.2 + gaps, -34 - y, rows)


def maxilla(points: Points) -> Vector:
    """Alveolar bone, palate and the walls of nose and sinuses."""
    arch = everything(5 - np.abs(parabola(points, -79, 50, 27)), -32 - points[1])
    alveolar = np.minimum(arch, between(points[2], 8, 17))
    return np.maximum(alveolar, ellipsoid(points, (0, -56, 27), (40, 27, 15)))


def sinuses(points: Points) -> Vector:
    """Air of the maxillary sinuses and of the nasal cavity."""
    side = np.abs(points[0])
    sinus = ellipsoid((side, points[1], points[2]), (24, -54, 28), (12, 19, 12))
    nasal = ellipsoid((side, points[1], points[2]), (5, -60, 27), (4, 26, 11))
    return np.maximum(sinus, nasal)


def airway(person: Person, points: Points) -> Vector:
    """Naso-, oro- and hypopharynx, then the larynx."""
    _, _, z = points
    wide = person.airway * (0.75 + 0.4 * step(z - 8, 4) + 0.35 * step(-z - 24, 5))
    centre = 2 - 16 * step(-z - 38, 7) - 10 * step(z - 14, 4)
    return np.asarray(ellipse(points, (0.0, centre), (11, 6.5)) + (wide - 1) * 6, np.float64)


def skull(points: Points) -> Vector:
    """Occiput and skull base around the brain."""
    dome = ellipsoid(points, (0, 38, 60), (70, 57, 46))
    petrous = ellipsoid(
        (np.abs(points[0]), points[1], points[2]), (42, 10, 29), (22, 9, 8), turn=-0.4
    )
    clivus = ellipsoid(points, (0, 4, 34), (15, 12, 14))
    return np.maximum(np.maximum(dome, clivus), np.maximum(petrous, mastoid(points)))


def brain(points: Points) -> Vector:
    """What the skull holds."""
    return ellipsoid(points, (0, 38, 60), (70 - SKULL_MM, 57 - SKULL_MM, 46 - SKULL_MM)) - 3 * step(
        14 - points[1], 4
    )


def mastoid(points: Points) -> Vector:
    """Both mastoid processes."""
    side = (np.abs(points[0]), points[1], points[2])
    return ellipsoid(side, (55, 33, 24), (11, 13, 19))


def ear_canals(points: Points) -> Vector:
    """Both external auditory canals."""
    tube = 3.2 - np.hypot(points[1] - 10, (points[2] - 25) / 1.2)
    return np.minimum(tube, between(np.abs(points[0]), 46, 82))


def canal(points: Points) -> Vector:
    """The spinal canal."""
    return np.minimum(ellipse(points, (0.0, _spine(points) + 20), (11, 8.5)), 24 - points[2])


def cord(points: Points) -> Vector:
    """The spinal cord."""
    return np.minimum(ellipse(points, (0.0, _spine(points) + 20), (6.5, 5)), 24 - points[2])


def _spine(points: Points) -> Vector:
    """Where vertebral bodies are centred: the neck's lordosis."""
    return np.asarray(32 - 5 * np.exp(-(((points[2] + 45) / 40) ** 2)), np.float64)


def vertebrae(points: Points) -> Vector:
    """Bodies with discs between them, lateral masses, arches and spinous processes."""
    x, y, z = points
    centre = _spine(points)
    level = np.mod(z - 4, VERTEBRA_MM) - VERTEBRA_MM / 2
    side: Points = (np.abs(x), y, z)
    bodies = np.minimum(ellipse(points, (0.0, centre), (13, 9.5)), 6.6 - np.abs(level))
    lateral = ellipse(side, (19.0, centre + 7), (8.5, 8)) - 0.18 * np.abs(level)
    arch = 2.6 - np.abs(ellipse(points, (0.0, centre + 20), (14.5, 12))) - 0.25 * np.abs(level)
    spinous = everything(3.2 - np.abs(x), between(y - centre, 30, 46), 5.5 - np.abs(level + 3))
    bone = np.maximum(np.maximum(bodies, lateral), np.maximum(arch, spinous))
    return np.minimum(bone, 20 - z)


def masseter(points: Points) -> Vector:
    """One side, x outwards."""
    return ellipsoid(points, (55.5, -27, -4), (6.5, 18, 26), turn=0.2)


def sternomastoid(points: Points) -> Vector:
    """One side, x outwards: from the mastoid forwards and down."""
    z = points[2]
    down = np.minimum(z, 10)
    column = ellipse(points, (55.0 + 0.05 * down, 36 + 0.3 * down), (6.5, 13))
    return np.minimum(column, 14 - z)


def submandibular(points: Points) -> Vector:
    """One side, x outwards."""
    return ellipsoid(points, (37, -26, -29), (9, 15, 10), turn=0.35)


def hyoid(points: Points) -> Vector:
    """A small horseshoe below the jaw."""
    arch = 2.6 - np.abs(parabola(points, -42, 34, 20))
    return everything(arch, -8 - points[1], between(points[2], -42, -36))
