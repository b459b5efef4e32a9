"""Names and questions that are markup stay words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from page_checks import Smaller, check, rows_of, written

from harness.inference.decision import decide
from harness.inference.table import Table
from harness.report.data import PatientLine, ReportData
from harness.sweep.observations import Observation

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=http://evil.example/x.png onerror=alert(1)>',
    "a & b &lt; c",
    "`code` {{ 7 * 7 }} {% raw %}",
    r"$\frac{1}{0}$ \n",
    "Ünïcode 患者 \u202eright to left",
    "bell\x07 and escape\x1b[31m",
    "x" * 300,
]


def test_hostile_words_stay_words(everything: ReportData, smaller: Smaller, tmp_path: Path) -> None:
    data = smaller(8, 3)
    assert data.table is not None
    names = dict(zip(data.table.patients, HOSTILE, strict=True))
    table = Table(replace(cell, patient=names[cell.patient]) for cell in data.table.cells)
    lines = [
        PatientLine(name, "train", (name,), (name,), "" if n % 2 else name)
        for n, name in enumerate(HOSTILE)
    ]
    experiment = data.experiment.model_copy(update={"question": "".join(HOSTILE)})
    data = replace(
        data,
        experiment=experiment,
        table=table,
        effects=decide(table, experiment.decision),
        patients=lines,
        config={**data.config, "question": HOSTILE[0]},
        observations=[Observation(name, "holds", name) for name in HOSTILE],
        provenance=[(name, name) for name in HOSTILE],
        store_values={"pairs": {HOSTILE[0]: 3}, "lost": {HOSTILE[1]: 0.1}},
    )
    page, _ = written(data, tmp_path)
    check(page)
    assert "evil.example" not in "".join(v for _, n, v in page.attributes if n in ("src", "href"))
    for name in HOSTILE[:6]:
        assert " ".join(name.split()) in page.text
    for table_name in ("patients.csv", "scores.csv"):
        assert {row["patient"] for row in rows_of(tmp_path / table_name)} == set(HOSTILE)
