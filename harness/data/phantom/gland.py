"""The parotids: lobulated, wrapped around the ramus, each side its own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from harness.data.phantom import head
from harness.data.phantom.levels import (
    Box,
    Points,
    Triple,
    Vector,
    blend,
    ellipsoid,
    everything,
    turned,
)
from harness.data.phantom.person import SIDES, GlandPlan, Person

CELL_MM = 2.5
ROUNDS = 3
CLEARANCE_MM = 1.0
UNDER_SKIN_MM = 2.5
FILLET_MM = 5.0
"""Corners between neighbours, and of the gland against them, are rounded by about this."""
MARGIN_MM = 3.0
REACH_MM: Box = ((22.0, 82.0), (-50.0, 52.0), (-32.0, 32.0))
"""The space that a gland may take, head coordinates with x outwards."""
FOREMOST_MM = -34.0
"""How far over the masseter a gland may reach, head coordinates."""


@dataclass(frozen=True)
class Gland:
    """One parotid of one phantom.

    Attributes:
        person, side, plan: whose it is.
        scale: in-plane size that gives the planned volume.
        low, high: corners of the box that holds it, patient mm (x, y, z).
    """

    person: Person
    side: str
    plan: GlandPlan
    scale: float = 1.0
    low: Triple = (0.0, 0.0, 0.0)
    high: Triple = (0.0, 0.0, 0.0)

    def level(self, points: Points) -> Vector:
        """Level at points in patient mm; the gland is where it is above 0."""
        inside = head.outward(self.person.to_head(points), SIDES[self.side])
        own = _lobed(self.plan, self.scale, inside)
        return _meet(own, self.room(inside))

    def room(self, points: Points) -> Vector:
        """Space that no other organ takes; x outwards."""
        sign = SIDES[self.side]
        skin = head.body(self.person, head.outward(points, sign))
        jaw = blend(head.mandible(points), head.masseter(points), 3 * FILLET_MM)
        behind = blend(head.sternomastoid(points), head.mastoid(points), FILLET_MM)
        taken = blend(blend(jaw, behind, FILLET_MM), head.ear_canals(points), FILLET_MM)
        fat = UNDER_SKIN_MM + 0.3 * self.person.fat
        return everything(skin - fat, -taken - CLEARANCE_MM, points[1] - FOREMOST_MM)


def _meet(first: Vector, second: Vector) -> Vector:
    """Intersection with rounded corners."""
    return -blend(-first, -second, FILLET_MM)


def _lobed(plan: GlandPlan, scale: float, points: Points) -> Vector:
    """Superficial and deep lobe and tail, with lobules on their surface; x outwards."""
    z = points[2] - plan.centre[2]
    u = points[0] - plan.centre[0] - plan.lean * z
    v = points[1] - plan.centre[1] - plan.slant * z
    u, v = turned(u, v, plan.turn)
    point = (u / scale, v / scale, z)
    high = plan.half_height
    main = ellipsoid(point, (2, 2, 0), (14, 24, high))
    deep = ellipsoid(point, (-plan.deep * 0.6, 6, 1), (plan.deep * 0.7 + 5, 12, 0.8 * high))
    front = ellipsoid(point, (5, -14 - plan.forward / 2, 3), (6, 9 + plan.forward / 2, 0.6 * high))
    tail = ellipsoid(point, (0, 8, -0.45 * high), (10, 13, 0.52 * high))
    level = blend(blend(blend(main, deep, 6), tail, 5), front, 4)
    for a, b, c, phase, size in plan.waves:
        level = level + size * np.sin(a * u + b * v + c * z + phase)
    return np.asarray(level, np.float64)


def fit_gland(person: Person, side: str) -> Gland:
    """The gland with the in-plane size at which it has its planned volume, as far as its
    neighbours leave it room."""
    gland = Gland(person, side, person.glands[side])
    inner, outer = sorted(SIDES[side] * x for x in REACH_MM[0])
    low, high = person.bounds(((inner, outer), *REACH_MM[1:]))
    cells = CELL_MM * np.array([1, 1, person.squeeze])
    axes = [np.arange(a, b, c) for a, b, c in zip(low, high, cells, strict=True)]
    points: Points = (axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :])
    inside = head.outward(person.to_head(points), SIDES[side])
    room = gland.room(inside)
    for _ in range(ROUNDS):
        filled = _meet(_lobed(gland.plan, gland.scale, inside), room) > 0
        volume = filled.sum() * CELL_MM**3 / 1000
        scale = gland.scale * np.sqrt(gland.plan.volume_ml / max(volume, 1.0))
        gland = replace(gland, scale=float(np.clip(scale, 0.6, 1.9)))
    where = np.argwhere(_meet(_lobed(gland.plan, gland.scale, inside), room) > 0)
    first, last = low + where.min(0) * cells, low + where.max(0) * cells
    return replace(gland, low=_triple(first - MARGIN_MM), high=_triple(last + MARGIN_MM))


def _triple(values: Vector) -> Triple:
    return float(values[0]), float(values[1]), float(values[2])
