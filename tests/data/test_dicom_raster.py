"""Contours to masks: even-odd, repeats, ties, planes; against other libraries and known areas."""

from __future__ import annotations

import math
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
from harness.data.dicom.raster import draw

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
    if together.repeats:
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
