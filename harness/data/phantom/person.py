"""Who a phantom is: every measure that differs between patients, drawn once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.base.rng import generator
from harness.data.phantom.levels import Box, Points, Triple, Vector, turned

SIDES: Mapping[str, float] = {"left": 1.0, "right": -1.0}
"""Sign of x on each side (DICOM's x grows to the patient's left)."""

LEAST_EXTENT_MM = 54.0
"""From the second slice to the last but one; a shorter scan shows a flattened patient, glands
whole."""

WAVES = 9
VOLUME_ML = (13.0, 46.0)


@dataclass(frozen=True)
class GlandPlan:
    """One parotid, in head coordinates with x outwards.

    Attributes:
        centre: of the main lobe.
        half_height: of the gland, mm.
        volume_ml: what its size is fitted to.
        turn, lean, slant: in-plane turn, and shift per mm upwards outwards and to the back.
        deep: how far the deep lobe reaches inwards, mm; forward: how far over the masseter.
        waves: (n, 5) lobulation: three wave numbers, phase, amplitude in mm.
    """

    centre: Triple
    half_height: float
    volume_ml: float
    turn: float
    lean: float
    slant: float
    deep: float
    forward: float
    waves: Vector


@dataclass(frozen=True)
class Person:
    """Measures of one phantom; lengths in head coordinates are those of an average head.

    Attributes:
        size, squeeze: head coordinates -> mm, in all directions and once more along z.
        turn, shift, lean, nod: pose; shift in mm, lean and nod in mm per mm upwards.
        width, depth, fat: half-widths' factors, thickness of fat under the skin.
        waves: (n, 4) unevenness of the outline: wave numbers, phase.
        airway: factor of its radii.
        gland_hu, texture_hu: mean and spread of glandular tissue.
        vessel_hu: 45, or more with contrast.
        metal: angles of streaks through the teeth, none without fillings.
        nodes: lymph nodes, (x, y, z, radius).
        teeth: whether there are any.
        noise_hu: of the scanner.
    """

    size: float
    squeeze: float
    turn: float
    shift: tuple[float, float]
    lean: float
    nod: float
    width: float
    depth: float
    fat: float
    waves: Vector
    airway: float
    gland_hu: float
    texture_hu: float
    vessel_hu: float
    metal: tuple[float, ...]
    nodes: tuple[tuple[float, float, float, float], ...]
    teeth: bool
    noise_hu: float
    glands: Mapping[str, GlandPlan]

    def to_head(self, points: Points) -> Points:
        """Patient mm (x left, y back, z up, the glands' level near 0) -> head coordinates."""
        z = points[2] / (self.size * self.squeeze)
        x = (points[0] - self.shift[0]) / self.size - self.lean * z
        y = (points[1] - self.shift[1]) / self.size - self.nod * z
        return (*turned(x, y, self.turn), z)

    def from_head(self, points: Points) -> Points:
        """The way back."""
        x, y = turned(points[0], points[1], -self.turn)
        z = points[2]
        return (
            (x + self.lean * z) * self.size + self.shift[0],
            (y + self.nod * z) * self.size + self.shift[1],
            z * self.size * self.squeeze,
        )

    def bounds(self, box: Box) -> tuple[Vector, Vector]:
        """Least and largest patient mm (x, y, z) of a box of head coordinates."""
        x, y, z = np.array(np.meshgrid(*box)).reshape(3, -1)
        placed = np.array(self.from_head((x, y, z)))
        return placed.min(1), placed.max(1)


def draw_person(seed: int, index: int, extent_mm: float) -> Person:
    """The phantom `index` of a seed, in a scan with `extent_mm` between its ends' neighbours."""
    rng = generator(seed, "phantom", index)
    volume = float(np.clip(np.exp(rng.normal(np.log(26), 0.28)), *VOLUME_ML))
    height = float(np.clip(18.5 + 0.2 * (volume - 26) + rng.normal(0, 1.6), 14.5, 23.5))
    shift = rng.normal(0, (1.6, 3.5, 1.0))
    return Person(
        size=float(np.clip(rng.normal(1, 0.035), 0.93, 1.07)),
        squeeze=min(1.0, extent_mm / LEAST_EXTENT_MM),
        turn=float(rng.normal(0, 0.05)),
        shift=(float(rng.uniform(-6, 6)), float(rng.uniform(-5, 5))),
        lean=float(rng.normal(0, 0.05)),
        nod=float(rng.normal(0, 0.08)),
        width=float(rng.normal(1, 0.03)),
        depth=float(rng.normal(1, 0.025)),
        fat=float(rng.uniform(3, 9)),
        waves=_outline(rng),
        airway=float(rng.uniform(0.7, 1.35)),
        gland_hu=float(rng.uniform(-14, 28)),
        texture_hu=float(rng.uniform(14, 26)),
        vessel_hu=float(rng.uniform(140, 230)) if rng.random() < 0.6 else 45.0,
        metal=tuple(rng.uniform(0, np.pi, rng.integers(3, 7))) if rng.random() < 0.4 else (),
        nodes=_nodes(rng),
        teeth=bool(rng.random() < 0.85),
        noise_hu=float(rng.uniform(8, 15)),
        glands={side: _gland(rng, volume, height, shift) for side in SIDES},
    )


def _outline(rng: np.random.Generator) -> Vector:
    numbers = rng.uniform(1 / 70, 1 / 35, (3, 3)) * rng.choice([-1, 1], (3, 3)) * 2 * np.pi
    return np.column_stack([numbers, rng.uniform(0, 2 * np.pi, 3)])


def _nodes(rng: np.random.Generator) -> tuple[tuple[float, float, float, float], ...]:
    """Along the jugular chain, on both sides."""
    nodes = []
    for _ in range(rng.integers(4, 9)):
        z = rng.uniform(-34, -2)
        x = rng.choice([-1, 1]) * rng.uniform(36, 58)
        nodes.append((float(x), float(rng.uniform(4, 34)), float(z), float(rng.uniform(2.5, 6.5))))
    return tuple(nodes)


def _gland(rng: np.random.Generator, volume: float, height: float, shift: Vector) -> GlandPlan:
    x, y, z = np.array([61.0, -4.0, 0.0]) + shift + rng.normal(0, (1.2, 2.2, 1.6))
    return GlandPlan(
        centre=(float(x), float(y), float(z)),
        half_height=float(np.clip(height + rng.normal(0, 0.9), 14, 23.5)),
        volume_ml=volume * float(np.exp(rng.normal(0, 0.09))),
        turn=float(rng.normal(-0.3, 0.12)),
        lean=float(rng.normal(0.10, 0.06)),
        slant=float(rng.normal(-0.05, 0.14)),
        deep=float(rng.uniform(9, 20)),
        forward=float(rng.uniform(2, 17)),
        waves=_lobes(rng),
    )


def _lobes(rng: np.random.Generator) -> Vector:
    angle = rng.uniform(0, 2 * np.pi, WAVES)
    number = 2 * np.pi / rng.uniform(10, 24, WAVES)
    along = 2 * np.pi / rng.uniform(14, 34, WAVES) * rng.choice([-1, 1], WAVES)
    phase = rng.uniform(0, 2 * np.pi, WAVES)
    amplitude = rng.uniform(0.35, 0.95, WAVES)
    return np.column_stack(
        [number * np.cos(angle), number * np.sin(angle), along, phase, amplitude]
    )
