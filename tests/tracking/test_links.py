"""Addresses of MLflow's pages, taken apart as a browser does."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from harness.tracking.links import Pages


def parts(address: str) -> tuple[str, str, dict[str, str]]:
    """Server, path and query of the page (both behind the #)."""
    split = urlsplit(address)
    path, _, query = split.fragment.partition("?")
    asked = {name: values[0] for name, values in parse_qs(query, strict_parsing=True).items()}
    return f"{split.scheme}://{split.netloc}", path, asked


@pytest.mark.parametrize("base", ["http://127.0.0.1:5000", "http://127.0.0.1:5000/"])
def test_the_table_of_runs(base: str) -> None:
    assert parts(Pages(base, "7").runs()) == (
        "http://127.0.0.1:5000",
        "/experiments/7/runs",
        {"workflowType": "machine_learning"},
    )


def test_charts_are_sorted_and_filtered() -> None:
    where = 'tags.kind = "seed" and tags.stage = "mask"'
    _, path, asked = parts(Pages("http://h", "7").charts("quality/kid", where))
    assert path == "/experiments/7/runs"
    assert asked == {
        "workflowType": "machine_learning",
        "searchFilter": where,
        "orderByKey": "metrics.`quality/kid`",
        "orderByAsc": "true",
        "compareRunsMode": "CHART",
    }
    _, _, cleaned = parts(Pages("http://h", "7").charts("a[b]", where))
    assert cleaned["orderByKey"] == "metrics.`a_b_`"


def test_one_run() -> None:
    _, path, asked = parts(Pages("http://h", "7").run("a1"))
    assert path == "/experiments/7/runs/a1"
    assert asked == {"workflowType": "machine_learning"}


def test_an_address_is_one_word() -> None:
    address = Pages("http://h", "7").charts("quality/kid", 'a = "b c" & d')
    assert not set(' "`&') & set(address.partition("?")[2].replace("&", "", 4))
