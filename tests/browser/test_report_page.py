"""The report in a real browser, on a desk and on a phone: it fits, and every picture is there."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from factories.report import Material

from harness.report.data import ReportData
from harness.report.page import write_report

pytestmark = pytest.mark.browser
WIDTHS = (1400, 420)
LONG = "a-name-without-a-place-to-break-" * 6
PICTURES = "[...document.images].map(i => [i.alt, i.complete && i.naturalWidth])"
WIDE = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
# Elements that stick out of the page although no box around them scrolls.
OUTSIDE = """[...document.querySelectorAll('main *')].filter(e => !e.closest('.wide, pre, svg')
    && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"""
# Words of neighbouring heads of a table must not lie on each other.
HEADS = """[...document.querySelectorAll('th')].filter(e => e.scrollWidth > e.clientWidth + 1)
    .map(e => e.textContent)"""
# Long text in a column of a few letters.
NARROW = """[...document.querySelectorAll('dd, dt, td, p')].filter(e =>
    e.textContent.length > 40 && e.clientWidth < 80).map(e => e.outerHTML.slice(0, 80))"""
OPEN_ALL = "document.querySelectorAll('details').forEach(d => d.open = true)"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page in three states: everything finished, nothing begun, very long names."""
    folder = tmp_path_factory.mktemp("pages")
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        made = Material(Path(name))
        whole = made.data(failed=1)
        empty: dict[str, Any] = {"comparison": None, "table": None, "effects": (), "sweeps": ()}
        empty["verdicts"] = ()
        empty |= {"patients": [], "store": None, "store_values": {}, "ledger": {}, "chosen": None}
        long_names = [replace(line, patient=LONG + line.patient) for line in whole.patients]
        states: dict[str, ReportData] = {
            "whole": whole,
            "nothing": replace(whole, **empty),
            "long": replace(
                whole,
                patients=[replace(line, notes=(LONG,), structures=(LONG,)) for line in long_names],
                experiment=whole.experiment.model_copy(update={"question": LONG}),
                provenance=[(LONG, LONG)],
                sweeps=(),
                verdicts=(),
            ),
        }
        return {state: write_report(data, folder / state) for state, data in states.items()}


@pytest.mark.parametrize("state", ["whole", "nothing", "long"])
def test_the_page_fits_and_shows_everything(
    browser: Any, pages: dict[str, Path], state: str, tmp_path: Path
) -> None:
    for width in WIDTHS:
        page = browser.new_page(viewport={"width": width, "height": 900})
        asked: list[str] = []
        faults: list[str] = []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.on("console", lambda message, faults=faults: faults.append(message.text))
        page.on("pageerror", lambda error, faults=faults: faults.append(str(error)))
        page.goto(pages[state].as_uri())
        page.screenshot(path=tmp_path / f"{state}-{width}-top.png")
        page.screenshot(path=tmp_path / f"{state}-{width}.png", full_page=True)
        page.evaluate(OPEN_ALL)
        page.screenshot(path=tmp_path / f"{state}-{width}-open.png", full_page=True)
        wide, window = page.evaluate(WIDE)
        assert wide <= window, f"{state} at {width}: {wide} px wide"
        assert page.evaluate(OUTSIDE) == []
        assert page.evaluate(HEADS) == []
        assert page.evaluate(NARROW) == []
        pictures = page.evaluate(PICTURES)
        assert all(loaded for _, loaded in pictures), pictures
        assert len(pictures) >= (0 if state == "nothing" else 20)
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        assert faults == []
        page.close()


def test_the_answer_is_on_the_first_screen(browser: Any, pages: dict[str, Path]) -> None:
    for width, height in ((1400, 900), (420, 800)):
        page = browser.new_page(viewport={"width": width, "height": height})
        page.goto(pages["whole"].as_uri())
        box = page.locator("#answer .headline").bounding_box()
        assert box["y"] + box["height"] < height
        assert page.locator("#answer figure").first.bounding_box()["y"] < height
        page.close()


def test_the_collapse_section_opens_with_its_verdict(browser: Any, pages: dict[str, Path]) -> None:
    """As `harness collapse` links to it, every seed's picture included."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(pages["whole"].as_uri() + "#collapse")
    first = page.locator("#collapse .headline").first
    assert first.inner_text().lower().startswith("mask stage: 5 of 12 trainings collapsed")
    assert 0 <= first.bounding_box()["y"] < 300
    pictures = page.locator("#collapse .group img")
    assert pictures.count() == 6 * 2 + 4 * 2
    assert all(e.evaluate("e => e.naturalWidth > 0") for e in pictures.all())
    page.close()


def test_links_lead_to_their_sections(browser: Any, pages: dict[str, Path]) -> None:
    page = browser.new_page(viewport={"width": 420, "height": 800})
    page.goto(pages["whole"].as_uri())
    for link in page.locator("nav a").all():
        link.click()
        target = page.locator(link.get_attribute("href"))
        assert target.bounding_box()["y"] == pytest.approx(0, abs=40) or page.evaluate(
            "innerHeight + scrollY >= document.documentElement.scrollHeight - 2"
        )
    page.close()
