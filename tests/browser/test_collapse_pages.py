"""The run of a stage's verdicts in MLflow's pages, and the report that it carries."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from factories.report import Material

from harness.figures.collapse import SeedPicture, seed_sheet
from harness.figures.copies import write_png
from harness.report.collapse import seed_runs
from harness.report.grids import last_samples
from harness.report.page import write_report
from harness.sweep.verdicts import Verdicts
from harness.tracking.links import Pages
from harness.tracking.store import open_client, resolve
from harness.tracking.sync import MlflowSync
from harness.tracking.ui import serving
from harness.tracking.views.verdicts import collapse_view

pytestmark = pytest.mark.browser
PAGE_MS = 45_000


@dataclass(frozen=True)
class Served:
    """A running server with the run of the verdicts, and the report's page."""

    url: str
    page: Path
    verdicts: Verdicts


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("work")
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        made = Material(Path(name))
        sweep = made.sweep("mask", trials=4)
        data = made.data(patients=6, replicates=1, sweeps=(sweep,))
        data = replace(data, comparison=None, table=None, effects=())
        page = write_report(data, root / "report")
        (verdicts,) = data.verdicts
        crop, sheet = made.experiment.data.crop, root / "samples-mask.png"
        pictures = [
            SeedPicture(image, run.name, row.word)
            for row, run in seed_runs(sweep, verdicts)
            if (image := last_samples(made.work, crop, run)) is not None
        ]
        write_png(sheet, seed_sheet(pictures))
    files = [(page, "report"), (sheet, "samples")]
    MlflowSync(root, "demo", None).sync([collapse_view(verdicts, files)])
    store = resolve(root, None)
    client = open_client(store)
    experiment = client.get_experiment_by_name("demo")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    with serving(store, root) as (base, _):
        yield Served(Pages(base, experiment.experiment_id).run(run.info.run_id), page, verdicts)


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    opened = context.new_page()
    opened.set_default_timeout(PAGE_MS)
    yield opened
    opened.screenshot(path=tmp_path / "page.png")
    context.close()


def test_the_run_says_the_verdict_and_its_counts(page: Any, served: Served) -> None:
    page.goto(served.url)
    for text in ("collapse mask", served.verdicts.sentence, "collapse/mode_collapse"):
        page.get_by_text(text, exact=True).first.wait_for()


def test_the_run_shows_the_samples_of_every_seed(page: Any, served: Served) -> None:
    page.goto(served.url.replace("?", "/artifacts/samples/samples-mask.png?"))
    page.wait_for_function("[...document.images].some(i => i.naturalWidth > 800)")


def test_the_report_opens_at_its_section(page: Any, served: Served) -> None:
    page.goto(served.page.as_uri() + "#collapse")
    section = page.locator("#collapse")
    assert section.locator("p").first.inner_text().lower() == served.verdicts.sentence.lower()
    assert section.bounding_box()["y"] == pytest.approx(0, abs=40)
    assert section.locator(".group img").count() == len(served.verdicts.seeds)
    cells = section.locator("td.verdict").all_inner_texts()
    assert cells == [row.word for row in served.verdicts.seeds]
