"""MLflow's pages as people see them: a sweep of three trials and two seeds in a real browser."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.jobs.journal import Journal, mark_covered
from harness.tracking.leaderboards import score_tags
from harness.tracking.links import Pages
from harness.tracking.run_view import JournalPart, RunView
from harness.tracking.store import open_client, resolve
from harness.tracking.sync import MlflowSync
from harness.tracking.ui import serving
from harness.training.pictures import grid, write_png

pytestmark = pytest.mark.browser
PAGE_MS = 45_000
EPOCHS = 60
SWEEP = ("sweep-mask",)
ASSISTANT_OPENED = "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1"


def ellipses(epoch: int, seed: int) -> np.ndarray:
    """Structure-like blobs (16, 64, 64) that get sharper with the epoch."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[-1:1:64j, -1:1:64j]
    sheets = []
    for _ in range(16):
        tilt, long, short = rng.uniform(0, math.pi), rng.uniform(0.4, 0.7), rng.uniform(0.2, 0.35)
        along = rows * math.cos(tilt) + columns * math.sin(tilt)
        across = columns * math.cos(tilt) - rows * math.sin(tilt)
        edge = 1 - np.hypot(along / long, across / short)
        noise = rng.normal(0, 3.0 / epoch, edge.shape)
        sheets.append(255 / (1 + np.exp(-(1 + epoch / 2) * (edge + noise))))
    return np.stack(sheets).astype(np.uint8)


def train(folder: Path, trial: int, seed: int) -> None:
    rng = np.random.default_rng(100 * trial + seed)
    journal = Journal(folder / "journal.jsonl")
    for epoch in range(1, EPOCHS + 1):
        fall = math.exp(-epoch / (10 + 5 * trial))
        values = {
            "train/d_loss": 0.3 + 0.4 * fall + rng.normal(0, 0.02),
            "train/g_loss": 1.5 + (1 - fall) + rng.normal(0, 0.05),
            "train/learning_rate": 2e-4,
            "train/images_per_second": 110 + rng.normal(0, 3),
            "vs_real/diversity": 1 - fall,
        }
        if epoch % 10 == 0:
            values["quality/kid"] = 0.02 * trial + 0.3 * fall + abs(rng.normal(0, 0.004))
            values["quality/area_ratio"] = 1 + 0.5 * fall
        journal.log(epoch, values)
        if epoch % 15 == 0 or epoch == 1:
            path = folder / "samples" / f"fixed-noise-{epoch:06d}.png"
            write_png(path, grid(ellipses(epoch, seed), columns=8))
    mark_covered(folder, journal.sync(), EPOCHS)
    journal.close()


def views(root: Path) -> list[RunView]:
    figure = root / "samples-by-setting.png"
    write_png(figure, grid(ellipses(EPOCHS, 0), columns=8))
    shown = [
        RunView(
            SWEEP,
            "mask sweep",
            params={"objective": "quality/kid", "direction": "minimize"},
            tags={"kind": "sweep", "stage": "mask"},
            note="**Best**: trial 1",
            artifacts=((figure, "sweep"),),
        )
    ]
    for trial in (1, 2, 3):
        key = (*SWEEP, f"trial-{trial:03d}")
        params = {"learning_rate": f"{trial}e-4", "batch_size": str(12 * trial), "epochs": "60"}
        shown.append(
            RunView(
                key,
                f"trial {trial}",
                SWEEP,
                params,
                {"kind": "trial", "stage": "mask", "verdict": "healthy"}
                | score_tags({"quality/kid": 0.02 * trial + 0.0123456}),
                summary={"quality/kid": 0.02 * trial + 0.0123456, "quality/kid_sd": 0.004},
                summary_time=1_790_000_000_000,
                note=f"Means over 2 seeds of trial {trial}.",
            )
        )
        for seed in (1, 2):
            folder = root / "jobs" / "mask-stage" / f"{trial}{seed}".ljust(24, "0")
            train(folder, trial, seed)
            parts = (JournalPart(folder, until=EPOCHS),)
            tags = {"kind": "seed"}
            shown.append(
                RunView(
                    (*key, f"seed-{seed}"), f"trial {trial}, seed {seed}", key, params, tags, parts
                )
            )
    return [dataclasses.replace(view, status="finished") for view in shown]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pages, dict[str, str]]]:
    """The sweep behind a running server: its pages, and run ids by key."""
    root = tmp_path_factory.mktemp("work")
    MlflowSync(root, "demo", None).sync(views(root))
    store = resolve(root, None)
    client = open_client(store)
    experiment = client.get_experiment_by_name("demo")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    runs = {run.data.tags["harness.key"]: run.info.run_id for run in found}
    with serving(store, root) as (base, _):
        yield Pages(base, experiment.experiment_id), runs


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """A fresh profile for each address: links are opened by people who were never there, but for
    MLflow's assistant, which opens once in each browser over a quarter of the page."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.add_init_script(f"localStorage.setItem('{ASSISTANT_OPENED}', 'true')")
    opened = context.new_page()
    opened.set_default_timeout(PAGE_MS)
    yield opened
    opened.screenshot(path=tmp_path / "page.png")
    context.close()


SOURCES = "[...document.images].filter(i => i.naturalWidth > 200).map(i => i.src)"


def wait_for_text(page: Any, *texts: str) -> None:
    for text in texts:
        page.get_by_text(text, exact=True).first.wait_for()


def headers(page: Any) -> list[str]:
    """Columns of a table beside the runs' names and times, from left to right."""
    page.get_by_role("columnheader", name="verdict").first.wait_for()
    shown = {}
    for cell in page.get_by_role("columnheader").all():
        if (box := cell.bounding_box()) and (text := cell.inner_text().strip()):
            shown[text] = box["x"]
    names = sorted(shown, key=lambda name: shown[name])
    return [name for name in names if name not in ("Run Name", "Created", "Tags", "Parameters")]


def tab(address: str, path: str) -> str:
    """The address of a part of a run's page."""
    return address.replace("?", f"{path}?")


def test_the_link_of_the_runs_opens_their_tree(
    page: Any, pages: tuple[Pages, dict[str, str]]
) -> None:
    page.goto(pages[0].shared("runs-leaderboard"))
    wait_for_text(page, "mask sweep")
    assert headers(page)[:3] == ["Description", "verdict", "KID"]
    for row in ("mask sweep", "trial 3"):
        line = page.get_by_role("row").filter(has=page.get_by_text(row, exact=True)).first
        line.get_by_role("button").first.click()
        wait_for_text(page, "trial 3")
    wait_for_text(page, "trial 3, seed 1", "trial 3, seed 2")


def test_the_leaderboard_puts_the_best_seeds_first_with_curves_and_samples(
    page: Any, pages: tuple[Pages, dict[str, str]]
) -> None:
    where = 'tags.kind = "seed"'
    page.goto(pages[0].charts("quality/kid", where))
    wait_for_text(page, "train", "quality")
    names = page.get_by_text(re.compile(r"^trial \d, seed \d$"))
    names.first.wait_for()
    shown = list(dict.fromkeys(names.all_inner_texts()))
    assert len(shown) == 6
    assert {name[:7] for name in shown[:2]} == {"trial 1"}
    assert {name[:7] for name in shown[-2:]} == {"trial 3"}


def test_the_table_of_trials_has_their_objective_settings_and_verdict(
    page: Any, pages: tuple[Pages, dict[str, str]]
) -> None:
    page.goto(pages[0].shared("mask-leaderboard"))
    wait_for_text(page, "trial 1", "trial 2", "trial 3")
    assert headers(page)[:4] == ["verdict", "KID", "learning_rate", "batch_size"]
    wait_for_text(page, "0.0323")
    names = page.get_by_text(re.compile(r"^trial \d$")).all_inner_texts()
    assert list(dict.fromkeys(names)) == ["trial 1", "trial 2", "trial 3"]
    wait_for_text(page, "healthy")


def test_the_run_of_a_sweep_carries_its_figures(
    page: Any, pages: tuple[Pages, dict[str, str]]
) -> None:
    links, runs = pages
    figure = "/artifacts/sweep/samples-by-setting.png"
    page.goto(tab(links.run(runs["sweep-mask"]), figure))
    wait_for_text(page, "samples-by-setting.png")
    page.wait_for_function("[...document.images].some(i => i.naturalWidth > 400)")


def test_a_run_shows_its_curves_and_its_samples_by_epoch(
    page: Any, pages: tuple[Pages, dict[str, str]]
) -> None:
    links, runs = pages
    page.goto(tab(links.run(runs["sweep-mask/trial-001/seed-1"]), "/model-metrics"))
    wait_for_text(page, "kid", "area_ratio", "samples/fixed-noise")
    page.wait_for_function("[...document.images].some(i => i.naturalWidth > 200)")
    slider = page.get_by_role("slider").first
    slider.scroll_into_view_if_needed()
    before = page.evaluate(SOURCES)
    slider.press("ArrowRight")
    page.wait_for_function(f"before => String({SOURCES}) !== before", arg=",".join(before))
    page.get_by_text(re.compile(r"^train")).first.scroll_into_view_if_needed()
    page.mouse.wheel(0, 4000)
    wait_for_text(page, "d_loss", "g_loss")


def test_losses_and_quality_stand_above_what_tells_of_collapse(
    page: Any, pages: tuple[Pages, dict[str, str]]
) -> None:
    page.set_viewport_size({"width": 1400, "height": 4000})
    page.goto(tab(pages[0].run(pages[1]["sweep-mask/trial-001/seed-1"]), "/model-metrics"))
    heads = page.get_by_text(re.compile(r"^(quality|samples|train|vs_real)(\s*\(\d+\))?$"))
    page.get_by_text(re.compile(r"^vs_real")).first.wait_for()
    order = [text.split()[0].partition("(")[0] for text in heads.all_inner_texts()]
    assert list(dict.fromkeys(order)) == ["quality", "samples", "train", "vs_real"]


def test_a_trial_says_what_it_is(page: Any, pages: tuple[Pages, dict[str, str]]) -> None:
    links, runs = pages
    page.goto(links.run(runs["sweep-mask/trial-002"]))
    wait_for_text(page, "Means over 2 seeds of trial 2.")
    wait_for_text(page, "batch_size", "24")
