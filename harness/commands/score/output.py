"""The files that `harness score` leaves: score.json and scores.csv."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.base.errors import ConfigError
from harness.base.files import csv_text, without_nan, write_json, write_text

COLUMNS = (
    *("extractor", "score", "value", "low", "high", "n", "units", "at_baseline_n", "baseline_mean"),
    *("baseline_p05", "baseline_p95", "baseline_n", "note"),
)


def written(found: dict[str, Any], output: Path) -> dict[str, Any]:
    """Write both files; the answer knows where they are."""
    found = without_nan({**found, "output": str(output)})
    try:
        write_json(output / "score.json", found)
        write_text(output / "scores.csv", _table(found))
    except OSError as error:
        raise unwritable(output, error) from error
    return found


def unwritable(output: Path, error: OSError) -> ConfigError:
    """The sentence for an output folder that cannot be made or written."""
    return ConfigError(
        f"--output must be a folder that can be written, but got '{output}' ({error.strerror}); "
        "name another one"
    )


def _table(found: dict[str, Any]) -> str:
    groups = [(block["name"], block["scores"]) for block in found["extractors"]]
    groups.append(("", {f"ssim_diversity_{k}": v for k, v in found["ssim_diversity"].items()}))
    groups.append(("", (found["paired"] or {}).get("scores", {})))
    rows: list[dict[str, Any]] = []
    for extractor, scores in groups:
        for name, score in scores.items():
            low, high = score["interval"] or (None, None)
            row = {"extractor": extractor, "score": name, "low": low, "high": high, **score}
            row |= {f"baseline_{key}": value for key, value in score.get("baseline", {}).items()}
            rows.append(row)
    return csv_text(COLUMNS, ([row.get(name) for name in COLUMNS] for row in rows))
