"""Contours to masks: even-odd, repeats, ties, planes; against other libraries and known areas."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import pytest
from factories.dicom import placed, rectangle, to_mm
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as PolygonPath
from numpy.typing import NDArray
from skimage.draw import polygon2mask

from harness.data.dicom.geometry import Grid
from harness.data.dicom.notes import at_stake
from harness.data.dicom.raster import Drawn, draw
from harness.data.dicom.rings import near_repeat, tolerance_mm

SHAPE = (5, 40, 50)
AFFINE = placed(SHAPE, spacing=(3.0, 0.8, 1.3))
GRID = Grid(AFFINE, SHAPE, tuple(range(SHAPE[0])))
CENTRES = np.stack(np.mgrid[: SHAPE[1], : SHAPE[2]], axis=-1).reshape(-1, 2).astype(float)
Points = NDArray[np.float64]


def in_mm(points: object, level: float = 2.0) -> Points:
    """(row, column) points of one plane -> LPS mm."""
    flat = np.asarray(points, float)
    return to_mm(AFFINE, np.column_stack([np.full(len(flat), level), flat]))


def box(rows: tuple[float, float], columns: tuple[float, float], level: float = 2.0) -> Points:
    return rectangle(AFFINE, level, rows, columns)


def block(rows: slice, columns: slice) -> NDArray[np.bool_]:
    made = np.zeros(SHAPE[1:], bool)
    made[rows, columns] = True
    return made


def drawn(*contours: Points) -> NDArray[np.bool_]:
    """Slice 2 of the mask; nothing lies elsewhere."""
    mask = draw(contours, GRID).mask
    assert not mask[[0, 1, 3, 4]].any()
    return mask[2]


def ring(row: float, column: float, radius: float, n: int, phase: float = 0.123) -> Points:
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False) + phase
    return np.column_stack([row + radius * np.sin(angle), column + radius * np.cos(angle)])


def test_a_box_between_voxel_centres() -> None:
    assert np.array_equal(drawn(box((4.5, 9.5), (10.5, 20.5))), block(slice(5, 10), slice(11, 21)))


def test_hole_and_island_by_separate_contours() -> None:
    found = drawn(
        box((4.5, 29.5), (4.5, 39.5)),
        box((9.5, 24.5), (9.5, 34.5)),
        box((14.5, 19.5), (14.5, 29.5)),
    )
    whole, hole = block(slice(5, 30), slice(5, 40)), block(slice(10, 25), slice(10, 35))
    assert np.array_equal(found, whole ^ hole | block(slice(15, 20), slice(15, 30)))


def test_the_order_of_contours_does_not_matter() -> None:
    contours = [in_mm(ring(20, 25, radius, 30)) for radius in (15, 11, 6)] + [
        in_mm(ring(20, 40, 7, 20))
    ]
    found = drawn(*contours)
    assert np.array_equal(found, drawn(*contours[::-1]))
    assert np.array_equal(found, drawn(*[contour[::-1] for contour in contours]))


def test_a_keyhole_is_a_hole() -> None:
    """One contour runs along the outside, over a bridge, around the hole, and back."""
    outside = [(4.5, 4.5), (4.5, 30.5), (30.5, 30.5), (30.5, 4.5), (4.5, 4.5)]
    hole = [(12.3, 12.3), (20.7, 12.3), (20.7, 20.7), (12.3, 20.7), (12.3, 12.3)]
    found = drawn(in_mm([*outside, *hole]))
    assert np.array_equal(
        found, block(slice(5, 31), slice(5, 31)) ^ block(slice(13, 21), slice(13, 21))
    )


def test_an_explicitly_closed_contour_is_the_same() -> None:
    points = ring(20, 25, 12.3, 17)
    assert np.array_equal(drawn(in_mm(points)), drawn(in_mm([*points, points[0]])))


KEYHOLE = [(4, 4), (4, 30), (30, 30), (30, 4), (4, 4), (12, 12), (20, 12), (20, 20), (12, 12)]
"""Its least point is passed twice."""


@pytest.mark.parametrize(
    "repeat",
    [
        lambda p: p,
        lambda p: p[::-1],
        lambda p: np.roll(p, 5, axis=0),
        lambda p: np.roll(p, 4, axis=0),
        lambda p: np.roll(p[::-1], 3, axis=0),
        lambda p: np.concatenate([p, p[:1]]),
        lambda p: np.roll(np.concatenate([p, p[:1]]), 2, axis=0),
        lambda p: np.repeat(p, 2, axis=0),
        lambda p: p + 2e-4,
    ],
    ids=[
        "exact",
        "backwards",
        "rotated",
        "rotated to the other pass",
        "rotated backwards",
        "closed",
        "closed and rotated",
        "points doubled",
        "a fifth of a micrometre off",
    ],
)
@pytest.mark.parametrize("shape", ["ring", "keyhole"])
def test_a_contour_listed_twice_counts_once(shape: str, repeat: Callable[[Points], Points]) -> None:
    """Plain even-odd would leave nothing of it."""
    points = in_mm(ring(20, 25, 12.3, 17) if shape == "ring" else np.add(KEYHOLE, 0.31))
    points = np.round(points, 2)
    found = draw([points, repeat(points)], GRID)
    assert (found.repeats, found.drawn) == (1, 1)
    assert np.array_equal(found.mask, draw([points], GRID).mask)
    assert found.mask.any()


def test_contours_that_differ_are_no_repeats() -> None:
    points = in_mm(ring(20, 25, 12.3, 17))
    moved = points.copy()
    moved[3] += 0.02
    reordered = points[[0, 2, 1, *range(3, 17)]]
    for other in (moved, reordered, in_mm(ring(20, 25, 12.3, 17), level=3)):
        assert draw([points, other], GRID).repeats == 0


def test_the_half_open_rule_on_voxel_centres() -> None:
    """A centre on an edge belongs to the side of higher indices."""
    assert np.array_equal(drawn(box((5, 9), (10, 20))), block(slice(5, 9), slice(10, 20)))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 39), st.integers(0, 49))
def test_regions_that_share_edges_share_no_voxel_and_leave_none_out(row: int, column: int) -> None:
    """Triangles about a point of the grid fill a box; many of their edges run through centres."""
    corners = [(0, 0), (0, 49), (39, 49), (39, 0)]
    total = np.zeros(SHAPE[1:], int)
    for place, corner in enumerate(corners):
        triangle = [corner, corners[place - 1], (row, column)]
        if np.linalg.det(np.subtract(triangle[:2], triangle[2])):
            total += drawn(in_mm(triangle))
    assert np.array_equal(total, block(slice(0, 39), slice(0, 49)))


def far_from_edges(points: Points, least: float = 0.01) -> NDArray[np.bool_]:
    """Voxel centres that no edge passes closely; (rows, columns)."""
    start, end = points, np.roll(points, -1, axis=0)
    along = end - start
    reach = np.maximum((along**2).sum(1), 1e-12)
    share = ((CENTRES[:, None] - start) * along).sum(-1) / reach
    nearest = start + np.clip(share, 0, 1)[..., None] * along
    distance = np.linalg.norm(CENTRES[:, None] - nearest, axis=-1).min(1)
    return (distance > least).reshape(SHAPE[1:])


POLYGONS = st.lists(
    st.tuples(st.floats(-8, 48, width=32), st.floats(-8, 58, width=32)), min_size=3, max_size=9
).map(lambda points: np.array(points, float))


@settings(max_examples=200, deadline=None)
@given(POLYGONS)
def test_polygons_that_cross_themselves_against_scikit_image(points: Points) -> None:
    """Any polygon, past the image's border and across itself; centres away from its edges."""
    mask = draw([in_mm(points)], GRID).mask[2]
    clear = far_from_edges(points)
    other = polygon2mask(SHAPE[1:], points)
    assert np.array_equal(mask[clear], other[clear])


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 40))
def test_star_shaped_polygons_against_matplotlib(seed: int, corners: int) -> None:
    random = np.random.default_rng(seed)
    angle = np.sort(random.uniform(0, 2 * np.pi, corners))
    radius = random.uniform(2, 18, corners)
    points = np.column_stack([20 + radius * np.sin(angle), 25 + radius * np.cos(angle)])
    mask = draw([in_mm(points)], GRID).mask[2]
    inside = PolygonPath(np.vstack([points, points[:1]])).contains_points(CENTRES)
    clear = far_from_edges(points)
    # Corners apart by more than half a turn leave the centre outside: matplotlib winds, we count.
    if np.diff([*angle, angle[0] + 2 * np.pi]).max() < np.pi:
        assert np.array_equal(mask[clear], inside.reshape(SHAPE[1:])[clear])


@settings(max_examples=50, deadline=None)
@given(st.lists(POLYGONS, min_size=2, max_size=5))
def test_several_contours_are_the_exclusive_or_of_each(several: list[Points]) -> None:
    contours = [in_mm(points) for points in several]
    together = draw(contours, GRID)
    if together.repeats or together.near_repeats:
        return
    each = [draw([contour], GRID).mask for contour in contours]
    assert np.array_equal(together.mask, np.logical_xor.reduce(each))


@pytest.mark.parametrize("finer", [1, 2, 4, 8])
def test_the_area_of_a_circle_converges(finer: int) -> None:
    """The Gauss circle problem: the error of the count stays near radius ** (2 / 3)."""
    edge = 64 * finer
    affine = placed((1, edge, edge), (1.0, 1 / finer, 1 / finer), origin=(0, 0, 0))
    grid = Grid(affine, (1, edge, edge), (0,))
    errors = []
    for shift in np.linspace(0, 1, 8, endpoint=False):
        angle = np.linspace(0, 2 * np.pi, 3000, endpoint=False)
        points = np.column_stack([31 + 20.3 * np.cos(angle), 32 + shift + 20.3 * np.sin(angle)])
        area = draw([np.column_stack([points, np.zeros(3000)])], grid).mask.sum() / finer**2
        errors.append(area / (math.pi * 20.3**2) - 1)
    assert np.abs(errors).max() < 0.012 / finer ** (4 / 3)


def test_a_sphere_of_contours_has_its_volume() -> None:
    affine = placed((25, 60, 60), (2.0, 1.0, 1.0), origin=(-30, -30, -24))
    grid = Grid(affine, (25, 60, 60), tuple(range(25)))
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    contours = []
    for z in np.arange(-24, 26, 2):
        radius = math.sqrt(max(20.2**2 - z**2, 0))
        flat = [radius * np.cos(angle), radius * np.sin(angle), np.full(400, float(z))]
        contours.append(np.column_stack(flat))
    found = draw(contours, grid)
    assert found.mask.sum() * 2.0 == pytest.approx(4 / 3 * math.pi * 20.2**3, rel=0.01)


def test_contours_are_cut_at_the_image() -> None:
    assert np.array_equal(drawn(box((-10, 4.5), (-10, 70))), block(slice(0, 5), slice(0, 50)))
    assert np.array_equal(drawn(box((35.5, 90), (44.5, 90))), block(slice(36, 40), slice(45, 50)))
    for beside in (box((50, 60), (1, 9)), box((-20, -10), (1, 9)), box((1, 9), (60, 70))):
        assert not drawn(beside).any()
    assert not drawn(box((1, 9), (-20, -10))).any()


def test_degenerate_contours_enclose_nothing() -> None:
    line, point = in_mm([(3, 3), (9, 20), (3, 3)]), in_mm([(7.0, 7.0)] * 4)
    flat, small = in_mm([(5, 3), (5, 9), (5, 20)]), in_mm(ring(20.4, 20.4, 0.05, 8))
    assert not drawn(line, point, flat, small).any()
    assert draw([], GRID).mask.shape == SHAPE


def test_contours_near_a_slice_are_drawn_on_it() -> None:
    for level in (1.8, 2.2, 2.45, 1.55):
        found = draw([box((4.5, 9.5), (4.5, 9.5), level)], GRID)
        assert (found.mask.sum((1, 2)).tolist(), found.drawn) == ([0, 0, 25, 0, 0], 1)


def test_contours_beyond_the_images_are_counted() -> None:
    levels = (-2.0, -0.6, 4.6, 9.0)
    found = draw([box((4.5, 9.5), (4.5, 9.5), level) for level in levels], GRID)
    assert (found.mask.any(), found.drawn, found.off_image) == (False, 0, 4)
    ends = draw([box((4.5, 9.5), (4.5, 9.5), level) for level in (-0.4, 4.4)], GRID)
    assert ends.mask.sum((1, 2)).tolist() == [25, 0, 0, 0, 25]


def test_contours_across_image_planes_are_counted() -> None:
    tilted = box((4.5, 9.5), (4.5, 9.5))
    tilted[:2, 2] += 2.0  # two thirds of a slice
    found = draw([tilted], GRID)
    assert (found.mask.any(), found.off_plane) == (False, 1)
    wavy = box((4.5, 9.5), (4.5, 9.5))
    wavy[:2, 2] += 0.5
    assert draw([wavy], GRID).mask.sum() == 25


def test_planes_between_slices_do_not_cancel_those_on_them() -> None:
    """Contours twice as dense as slices: even-odd over both planes would empty the region."""
    levels = np.arange(0, 4.1, 0.5)
    found = draw([box((4.5, 14.5), (4.5, 14.5), level) for level in levels], GRID)
    assert found.mask.sum((1, 2)).tolist() == [100] * 5
    assert (found.drawn, found.between) == (5, 4)
    dense = draw([box((4.5, 14.5), (4.5, 14.5), level) for level in np.arange(0, 4.1, 0.25)], GRID)
    assert dense.mask.sum((1, 2)).tolist() == [100] * 5


def test_a_hole_whose_plane_was_rounded_otherwise_is_still_a_hole() -> None:
    found = draw([box((4.5, 14.5), (4.5, 14.5), 2.0), box((7.5, 9.5), (7.5, 9.5), 2.003)], GRID)
    assert (found.mask[2].sum(), found.between) == (96, 0)


def test_oblique_and_flipped_grids_draw_the_same_picture() -> None:
    points = ring(20, 25, 12.3, 17)
    expected = drawn(in_mm(points))
    turn = np.deg2rad(25)
    for orientation in (
        (-1, 0, 0, 0, 1, 0),
        (0, 0, -1, 1, 0, 0),
        (np.cos(turn), np.sin(turn), 0, -np.sin(turn), np.cos(turn), 0),
    ):
        affine = placed(SHAPE, (3.0, 0.8, 1.3), orientation, shear=(0, 0, 0))
        contour = to_mm(affine, np.column_stack([np.full(17, 2.0), points]))
        grid = Grid(affine, SHAPE, tuple(range(SHAPE[0])))
        assert np.array_equal(draw([contour], grid).mask[2], expected)


# Repeats but for rounding.

TOLERANCE = tolerance_mm(GRID)
VOXEL_ML = 3.0 * 0.8 * 1.3 / 1000


def resampled(points: Points, count: int) -> Points:
    """As many points at equal steps along the same ring."""
    closed = np.vstack([points, points[:1]])
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    places = np.linspace(0, along[-1], count, endpoint=False)
    return np.column_stack([np.interp(places, along, of) for of in closed.T])


def rounded(points: Points, step: float) -> Points:
    """Rows and columns alone: a plane that moves is another matter."""
    return np.column_stack([np.round(points[:, :2] / step) * step, points[:, 2:]])


NEARLY: dict[str, Callable[[Points], Points]] = {
    "to 0.1 mm": lambda p: rounded(p, 0.1),
    "to 0.5 mm": lambda p: rounded(p, 0.5),
    "cut after 0.1 mm": lambda p: np.floor(p * 10) / 10,
    "from another point": lambda p: rounded(np.roll(p, 31, axis=0), 0.1),
    "backwards": lambda p: rounded(p[::-1], 0.1),
    "closed": lambda p: np.concatenate([rounded(p, 0.1), rounded(p[:1], 0.1)]),
    "every fifth point": lambda p: p[::5],
    "more points": lambda p: rounded(resampled(p, 401), 0.1),
    "fewer points": lambda p: rounded(resampled(p, 60), 0.1),
}


def test_the_tolerance_is_half_of_the_shortest_edge() -> None:
    assert pytest.approx(0.4) == TOLERANCE
    assert tolerance_mm(Grid(placed(SHAPE, (0.5, 0.8, 1.3)), SHAPE, ())) == pytest.approx(0.25)


@pytest.mark.parametrize("way", NEARLY)
def test_a_ring_that_is_one_but_for_rounding_counts_once(way: str) -> None:
    ring_mm = in_mm(ring(20, 25, 12.3, 160))
    other = NEARLY[way](ring_mm)
    assert near_repeat(ring_mm, other, TOLERANCE)
    assert near_repeat(other, ring_mm, TOLERANCE)
    found, alone = draw([ring_mm, other], GRID), draw([ring_mm], GRID)
    assert (found.near_repeats, found.drawn, found.repeats) == (1, 1, 0)
    assert np.array_equal(found.mask, alone.mask)
    assert found.notes == ["1 nearly repeated contour dropped"]
    again = draw([ring_mm, other, NEARLY["to 0.1 mm"](other)], GRID)
    assert (again.near_repeats + again.repeats, again.drawn) == (2, 1)


@pytest.mark.parametrize(
    "other",
    [
        in_mm(ring(20, 25, 12.3 - 0.4, 160)),  # a wall of 0.32 to 0.52 mm
        in_mm(ring(20, 25.4, 12.3, 160)),  # moved by 0.52 mm
        in_mm(ring(20, 25, 12.3, 160), level=2.2),
        in_mm(ring(20, 25, 12.3, 160)[[*range(40), *range(120, 39, -1), *range(121, 160)]]),
        in_mm(ring(20, 25, 12.3, 3)),
    ],
    ids=["a thin wall", "beside it", "on another plane", "the same points across", "a triangle"],
)
def test_rings_that_differ_are_no_near_repeats(other: Points) -> None:
    ring_mm = in_mm(ring(20, 25, 12.3, 160))
    assert not near_repeat(ring_mm, other, TOLERANCE)
    assert not near_repeat(other, ring_mm, TOLERANCE)
    assert draw([ring_mm, other], GRID).near_repeats == 0


def test_rings_nearer_than_a_pixel_that_may_be_repeats_are_in_doubt() -> None:
    """A wall of a third of a pixel: even-odd leaves every third voxel of it."""
    outer, inner = in_mm(ring(20, 25, 12.3, 160)), in_mm(ring(20, 25, 11.95, 160))
    found = draw([outer, inner], GRID)
    inside = draw([inner], GRID).mask.sum()
    assert found.crossing == {106.0: pytest.approx(inside * VOXEL_ML)}
    wall = draw([outer, in_mm(ring(20, 25, 10.3, 160))], GRID)
    assert (wall.notes, bool(wall.mask.any())) == ([], True)


# Contours that overlap in part.


def doubts(*contours: Points) -> list[str]:
    return [note for note in draw(contours, GRID).notes if at_stake(note)]


def test_overlapping_boxes_by_hand() -> None:
    """Boxes of 10 x 10 voxels that share 4 x 4, on two slices; a hole beside counts for nothing."""
    contours = [
        box(rows, columns, level)
        for level in (1.0, 3.0)
        for rows, columns in (
            ((4.5, 14.5), (4.5, 14.5)),
            ((10.5, 20.5), (10.5, 20.5)),
            ((24.5, 38.5), (24.5, 38.5)),
            ((28.5, 34.5), (28.5, 34.5)),
        )
    ]
    odd, union = draw(contours, GRID), draw(contours, GRID, "union")
    assert odd.mask.sum((1, 2)).tolist() == [0, 328, 0, 328, 0]
    assert odd.crossing == {
        103.0: pytest.approx(16 * VOXEL_ML),
        109.0: pytest.approx(16 * VOXEL_ML),
    }
    assert [note for note in odd.notes if at_stake(note)] == [
        "1 slice between its contours without any",
        "on 2 slices (at 103.00 mm, 109.00 mm) some of its contours overlap in part: 0.10 ml that "
        "two of them enclose is left out; data.dicom.overlap: union takes it",
    ]
    assert union.mask.sum((1, 2)).tolist() == [0, 380, 0, 380, 0]
    assert union.united == pytest.approx(104 * VOXEL_ML)
    assert union.notes[-1] == ("0.32 ml that two of its contours enclose is taken, holes too")
    assert not union.crossing


@pytest.mark.parametrize(
    "contours",
    [
        [box((4.5, 14.5), (4.5, 14.5)), box((14.5, 24.5), (4.5, 14.5))],
        [box((4.5, 14.5), (4.5, 14.5)), box((14.2, 24.5), (4.5, 14.5))],
        [box((4.5, 14.5), (4.5, 14.5)), box((14.5, 24.5), (14.5, 24.5))],
        [box((4.5, 24.5), (4.5, 24.5)), box((8.5, 14.5), (8.5, 14.5))],
        [box((4.5, 24.5), (4.5, 24.5)), box((4.5, 14.5), (8.5, 14.5))],
        [box((4.5, 24.5), (4.5, 24.5)), box((4.2, 14.5), (8.5, 14.5))],
        [in_mm(ring(20, 20, 9.3, 40)), in_mm(ring(20, 38.7, 9.3, 40))],
        [in_mm(np.add(KEYHOLE, 0.31)), box((13.5, 15.5), (13.5, 14.5))],
        [in_mm(np.add(KEYHOLE, 0.31))],
        [in_mm(np.add([*KEYHOLE[:5], *KEYHOLE[:4:-1]], 0.31))],
        [in_mm([(4, 4), (20, 20), (4, 20), (20, 4)])],
        [in_mm([(4.3, 4.1), (20, 20), (4, 20), (20, 4), (4.3, 4.2)])],
    ],
    ids=[
        "shared edge", "shared edge, rounded", "shared corner", "hole", "hole at its outside",
        "hole past its outside by rounding", "circles that touch", "island in a keyhole", "keyhole",
        "keyhole, both ways round alike", "figure of eight", "figure of eight, nearly closed",
    ],
)  # fmt: skip
def test_what_touches_or_lies_inside_does_not_cross(contours: list[Points]) -> None:
    for order in (contours, contours[::-1], [points[::-1] for points in contours]):
        assert not doubts(*order)


@pytest.mark.parametrize("turn", range(4))
def test_a_cross_of_two_bars_crosses(turn: int) -> None:
    """No row shows it: the one lies in the other, or alone."""
    across, down = ring(20, 25, 1, 4, math.pi / 4), ring(20, 25, 1, 4, math.pi / 4)
    across, down = (across - (20, 25)) * (4, 18) + (20, 25), (down - (20, 25)) * (14, 5) + (20, 25)
    contours = [in_mm(np.roll(points, turn, axis=0)) for points in (across, down)]
    both = draw(contours[:1], GRID).mask & draw(contours[1:], GRID).mask
    assert draw(contours, GRID).crossing == {106.0: pytest.approx(both.sum() * VOXEL_ML)}


@settings(max_examples=50, deadline=None)
@given(st.lists(POLYGONS, min_size=1, max_size=5))
def test_a_union_is_the_union_of_each(several: list[Points]) -> None:
    contours = [in_mm(points) for points in several]
    together = draw(contours, GRID, "union")
    if not together.repeats + together.near_repeats:
        each = [draw([contour], GRID).mask for contour in contours]
        assert np.array_equal(together.mask, np.logical_or.reduce(each))


def spiral(turns: float, rise: float = 3.0) -> Points:
    """A stroke about a point, past its beginning."""
    angle = np.linspace(0, 2 * np.pi * turns, 150)
    radius = 9.37 + rise * angle / (2 * np.pi)
    return np.column_stack([20.3 + radius * np.sin(angle), 24.7 + radius * np.cos(angle)])


@pytest.mark.parametrize("turns", [1.3, 1.6, 2.0])
def test_a_stroke_over_itself_against_angles_and_scikit_image(turns: float) -> None:
    """At stake is what the sum of angles sees around a voxel and scikit-image, which counts, does
    not see inside."""
    points = spiral(turns)
    seen = (points[:, None] - CENTRES) @ (1, 1j)
    winds = np.round(np.angle(np.roll(seen, -1, axis=0) / seen).sum(0) / (2 * np.pi)) != 0
    odd = polygon2mask(SHAPE[1:], points)
    found = draw([in_mm(points)], GRID)
    assert np.array_equal(found.mask[2], odd)
    twice = (winds.reshape(SHAPE[1:]) & ~odd).sum()
    assert twice > 0
    assert found.overrun == {106.0: pytest.approx(twice * VOXEL_ML)}
    [note] = found.notes
    assert at_stake(note)
    assert note == (
        "on 1 slice (at 106.00 mm) some of its contours run over themselves: "
        f"{twice * VOXEL_ML:.2f} ml that one goes around twice is left out; draw them again"
    )


def test_a_ring_that_one_contour_runs_through_twice() -> None:
    """Even-odd leaves nothing of it, whether its second round is exact or rounded."""
    once = ring(20, 25, 12.3, 60)
    inside = draw([in_mm(once)], GRID).mask.sum() * VOXEL_ML
    for again in (once, np.round(once, 1)):
        found = draw([in_mm(np.vstack([once, again]))], GRID)
        assert list(found.overrun.values()) == [pytest.approx(inside, rel=0.05)]


def test_contours_of_several_thousand_on_a_plane_take_seconds() -> None:
    random = np.random.default_rng(3)
    ring_mm = in_mm(ring(20, 25, 12.3, 60))
    copies = [np.round(ring_mm + random.uniform(-0.05, 0.05, (60, 1)), 2) for _ in range(2000)]
    others = [in_mm(ring(*random.uniform(8, 30, 2), random.uniform(2, 9), 30)) for _ in range(1000)]
    started = time.process_time()
    found = draw([ring_mm, *copies, *others], GRID)
    assert time.process_time() - started < 60
    assert found.near_repeats >= 2000
    assert list(found.crossing) == [106.0]


# Between slices.


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        ((1.0, 2.0, 3.0), []),
        ((1.08, 2.05, 3.0), []),
        ((1.2, 2.0, 3.0), ["1 of 3 contours lie up to 0.60 mm off their slices"]),
        ((1.3, 2.3, 3.3), ["all 3 contours lie up to 0.90 mm off their slices"]),
        ((1.5, 2.5, 3.5), ["all 3 contours lie up to 1.50 mm off their slices"]),
    ],
)
def test_contours_beside_their_slices_are_said(levels: tuple[float, ...], said: list[str]) -> None:
    found = draw([box((4.5, 9.5), (4.5, 9.5), level) for level in levels], GRID)
    assert (found.notes, found.drawn) == (said, 3)
    assert all(map(at_stake, found.notes))


@pytest.mark.parametrize(
    ("levels", "slices"),
    [
        ((0.5, 1.5, 2.5), [1, 2, 3]),  # either way half a slice: the head's side
        ((0.49, 1.51, 2.49, 3.5), [1, 2, 3, 4]),  # one side for all, whatever rounding made
        ((0.0, 1.0, 2.5, 3.5), [0, 1, 2, 3]),  # none is left bare
        ((1.5, 2.5, 4.0), [2, 3, 4]),
        ((0.3, 1.3, 2.5), [0, 1, 2]),
        ((0.46, 1.46, 2.46), [0, 1, 2]),  # nearer than the head's side
        ((-0.5, 0.5), [0, 1]),
        ((3.5, 4.5), [3, 4]),  # beyond the last slice there is none
    ],
)
def test_the_side_of_contours_half_way(levels: tuple[float, ...], slices: list[int]) -> None:
    found = draw([box((4.5, 9.5), (4.5, 9.5), level) for level in levels], GRID)
    assert np.flatnonzero(found.mask.any((1, 2))).tolist() == slices


def test_notes_that_are_no_doubt() -> None:
    drawn = Drawn(np.zeros(SHAPE, bool), 1, 2, 0, 0, 0, near_repeats=2, united=1.0)
    assert len(drawn.notes) == 3
    assert not any(map(at_stake, drawn.notes))
    short = Drawn(np.zeros(SHAPE, bool), 1, 0, 2, 2, 2)
    assert len(short.notes) == 3
    assert all(map(at_stake, short.notes))
