"""Figures and pictures: true numbers, valid files, bounded sizes."""

from __future__ import annotations

import base64
import io
import re
import warnings
from xml.etree import ElementTree

import numpy as np
import pytest
import seaborn as sns
from matplotlib.figure import Figure
from PIL import Image

from harness.figures.arms import PairedDots, arm_means, difference_map, paired_differences
from harness.figures.axes import SearchAxis
from harness.figures.cells import Cells, make_cells
from harness.figures.curves import Curve, by_arm, losses, median_curve, quality
from harness.figures.encode import figure_uri, image_uri, png_uri, svg_uri
from harness.figures.parallel import parallel
from harness.figures.pictures import corner, outlined, sheet
from harness.figures.search import history, importance, objective_by_batch, slices
from harness.figures.settings_grid import pixels, settings_grid
from harness.figures.style import colour_of, spread
from harness.figures.trials import TrialDot
from harness.inference.arm_summary import ArmMean
from harness.training.pictures import grid


def words(figure: Figure) -> list[str]:
    root = ElementTree.fromstring(base64.b64decode(svg_uri(figure).partition("base64,")[2]))
    return ["".join(e.itertext()).strip() for e in root.iter("{http://www.w3.org/2000/svg}text")]


def dots(**changes: object) -> PairedDots:
    values: dict[str, object] = {
        "baseline": "traditional",
        "candidate": "gan",
        "patients": ["p1", "p2", "p3"],
        "patient_means": [0.012345, -0.02, 0.03],
        "replicates": ["1000", "1001"],
        "replicate_means": [0.01, 0.02],
        "margin": 0.01,
        "mean": 0.0157,
        "interval_95": (0.0012, 0.0249),
        "interval_90": (0.003, 0.02),
    }
    return PairedDots(**{**values, **changes})  # type: ignore[arg-type]


def arm(name: str, value: float) -> ArmMean:
    return ArmMean(name, value, None, (value,))


def trial(number: int, *values: float | None, **changes: object) -> TrialDot:
    settings = {"batch_size": 12, "learning_rate": 2e-4, "epochs": 30}
    return TrialDot(number, seed_values=values, **{**settings, **changes})  # type: ignore[arg-type]


def cells() -> Cells:
    """A table of three trials over two axes; one failed, one is the chosen one."""
    axes = [SearchAxis.listed("a", [1, 2]), SearchAxis("b", (), 1e-4, 1e-2, log=True)]
    settings = [(1, 1e-4), (2, 1e-2), (2, 1e-3)]
    found = make_cells(
        [
            trial(n, 0.1 * n, params={"a": a, "b": b}, failed=n == 1, chosen=n == 2)
            for n, (a, b) in enumerate(settings)
        ],
        axes,
    )
    assert found is not None
    return found


def test_colours_are_seaborns_for_the_colour_blind() -> None:
    palette = sns.color_palette("colorblind").as_hex()
    assert [colour_of("an own arm", n) for n in range(len(palette) + 1)] == [*palette, palette[0]]


def test_every_cell_says_what_stands_in_it() -> None:
    said = words(settings_grid(cells(), lambda t: np.full((40, 30), 128, np.uint8), "KID"))
    assert said.count("no trial") == 3
    assert {"KID 0.1, failed", "trial 1, 30 epochs", "KID 0.2, chosen"} <= set(said)
    assert "columns: a; rows: b" in said
    assert {"1", "2", "1e-4", "0.001", "0.01"} <= set(said)


@pytest.mark.parametrize("columns", [2, 6, 12])
def test_a_grid_of_samples_is_at_most_1600_pixels_wide(columns: int) -> None:
    axes = [SearchAxis.listed("a", range(columns)), SearchAxis.listed("b", "xy")]
    dots = [trial(n, 0.1, params={"a": n, "b": "xy"[n % 2]}) for n in range(columns)]
    found = make_cells(dots, axes)
    assert found is not None
    drawn = pixels(settings_grid(found, lambda t: np.zeros((266, 266), np.uint8), "KID"))
    assert drawn.shape[1] <= 1600


def test_labels_keep_all_their_digits_though_coordinates_are_cut() -> None:
    figure = paired_differences(dots())
    assert "+0.016" in words(figure)
    assert "gan \u2212 traditional, test Dice (grey: within 0.01)" in words(figure)
    text = base64.b64decode(svg_uri(figure).partition("base64,")[2]).decode()
    paths = re.findall(r' d="([^"]*)"', text)
    assert paths
    assert not any(re.search(r"\d\.\d{3}", path) for path in paths)


def test_learning_rates_are_read_off_the_colour_bar() -> None:
    figure = objective_by_batch([trial(0, 0.1, learning_rate=1e-4),
                                 trial(1, 0.2, learning_rate=1e-3, batch_size=24)],
                                "KID")  # fmt: skip
    assert {"0.0001", "0.0002", "0.0005"} <= set(words(figure))


def test_the_objective_is_drawn_against_what_was_swept() -> None:
    rates = [trial(0, 0.1, learning_rate=1e-4), trial(1, 0.2, learning_rate=1e-3)]
    shown = words(objective_by_batch(rates, "KID"))
    assert {"learning rate", "0.0001", "0.001"} <= set(shown)
    assert "batch size (images)" not in shown
    assert "epochs" in words(objective_by_batch([trial(0, 0.1), trial(1, 0.2, epochs=9)], "KID"))


def test_one_learning_rate_needs_no_colour_bar() -> None:
    assert "learning rate" not in words(objective_by_batch([trial(0, 0.1), trial(1, 0.2)], "KID"))


def test_the_same_figure_is_the_same_text() -> None:
    assert svg_uri(paired_differences(dots())) == svg_uri(paired_differences(dots()))


@pytest.mark.parametrize(
    "make",
    [
        lambda: paired_differences(dots(interval_95=None, interval_90=None, mean=float("nan"))),
        lambda: paired_differences(dots(patient_means=[float("nan")] * 3)),
        lambda: paired_differences(dots(patients=["a"], patient_means=[0.0], mean=0.0)),
        lambda: paired_differences(dots(patients=["$x^2", "<b>&", "\x1b\x07" + "y" * 90])),
        lambda: arm_means([arm("none", 0.5), arm("gan", float("nan"))], 1),
        lambda: arm_means([], 0),
        lambda: difference_map(np.full((2, 2), np.nan), ["a", "b"], ["1", "2"], "x"),
        lambda: difference_map(np.zeros((1, 1)), ["a"], ["1"], "x"),
        lambda: losses({"d": [Curve([1], [0.0])]}, "epoch", "loss"),
        lambda: losses({"d": [Curve([1, 2], [1e-9, 5.0])], "g": []}, "epoch", "loss"),
        lambda: quality([], [Curve([1, 100], [0.1, float("nan")])], "KID"),
        lambda: by_arm({"none": [Curve([], [])]}, "Dice"),
        lambda: objective_by_batch([trial(0, None), trial(1, float("inf"), failed=True)], "KID"),
        lambda: history([], "minimize", "x"),
        lambda: history([trial(0, None, failed=True)], "minimize", "x"),
        lambda: slices([], [], "KID"),
        lambda: slices([trial(0, 0.0)], [SearchAxis.listed("a.very_long_name" * 5, [1, 2])], "x"),
        lambda: slices(
            [trial(n, 0.1 * n, params={"x": n}, pruned=n == 1) for n in range(60)],
            [SearchAxis("x", (), 0, 59), SearchAxis("y", (), 1e-9, 1e9, log=True)],
            "x",
        ),
        lambda: parallel([], [], "maximize", "KID"),
        lambda: parallel(
            [trial(0, None, failed=True), trial(1, 2.0, chosen=True, params={"w": "<b>$"})],
            [SearchAxis.listed("w", ["<b>$", "&"]), SearchAxis("y", (), 0.0, 1.0)],
            "minimize",
            "x",
        ),
        lambda: importance({}, "%"),
        lambda: importance({"learning rate": 1.0, "z" * 99: 0.0}, "importance (%)"),
        lambda: settings_grid(cells(), lambda t: None, "KID"),
        lambda: history([trial(3, -0.1, chosen=True), trial(5, 0.0, failed=True)], "maximize", "x"),
    ],
)
def test_odd_data_still_make_a_figure(make: object) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = make()  # type: ignore[operator]
        assert words(figure)
        assert png_uri(figure).startswith("data:image/png;base64,")


def test_a_crowded_figure_becomes_pixels() -> None:
    rng = np.random.default_rng(0)
    crowd = [Curve(range(2000), rng.normal(size=2000).tolist()) for _ in range(10)]
    uri = figure_uri(losses({"d": crowd}, "epoch", "loss"))
    assert uri.startswith("data:image/png")
    assert figure_uri(paired_differences(dots())).startswith("data:image/svg+xml")


def test_the_median_of_curves_is_over_those_that_have_a_number_there() -> None:
    curves = [Curve([1, 2, 3], [1.0, 5.0, 9.0]), Curve([1, 2], [3.0, float("nan")]),
              Curve([2], [7.0])]  # fmt: skip
    found = median_curve(curves)
    assert list(found.steps) == [1, 2, 3]
    assert found.values == [2.0, 6.0, 9.0]


@pytest.mark.parametrize("seed", range(5))
def test_dots_that_would_touch_are_put_apart(seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=40).round(1)
    offsets = spread(values, 0.1, near=0.05)
    places = set(zip(values.tolist(), offsets, strict=True))
    assert len(places) == 40
    assert spread([1.0, 2.0, 3.0], 0.1, near=0.5) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("most", [4_000, 20_000, 60_000])
def test_a_picture_keeps_its_budget(most: int) -> None:
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 255, (264, 264), dtype=np.uint8)
    assert len(image_uri(noise, most)) <= max(most, 4_000)


def test_a_small_picture_is_exact() -> None:
    picture = np.arange(64, dtype=np.uint8).reshape(8, 8)
    uri = image_uri(picture, 60_000)
    assert uri.startswith("data:image/png")
    with Image.open(io.BytesIO(base64.b64decode(uri.partition("base64,")[2]))) as read:
        np.testing.assert_array_equal(np.asarray(read), picture)


def test_an_outline_is_a_thin_ring_inside_the_mask() -> None:
    mask = np.zeros((40, 40), np.uint8)
    mask[10:30, 10:30] = 1
    drawn = outlined(np.zeros((40, 40)), mask, edge=40)
    coloured = (drawn != drawn[0, 0]).any(axis=-1)
    assert coloured.sum() == 4 * 20 - 4
    assert not coloured[11:29, 11:29].any()
    assert not (outlined(np.zeros((40, 40)), np.zeros((40, 40)), 40) != drawn[0, 0]).any()


def test_the_corner_of_a_grid_is_its_first_tiles() -> None:
    tiles = np.stack([np.full((16, 16), n * 10, np.uint8) for n in range(1, 17)])
    shown = corner(grid(tiles, 4), 16, columns=2, rows=3)
    inner = [10, 20, 50, 60, 90, 100]
    assert set(np.unique(shown)) == {*inner, int(grid(tiles, 4)[0, 0])}


def test_a_sheet_has_a_place_for_every_picture() -> None:
    tiles = [np.full((10, 10, 3), n, np.uint8) for n in range(5)]
    made = sheet(tiles, columns=3)
    assert made.shape == (22, 34, 3)
    assert [int(made[y, x, 0]) for y, x in ((5, 5), (5, 17), (5, 29), (17, 5), (17, 17))] == [
        0, 1, 2, 3, 4,
    ]  # fmt: skip
