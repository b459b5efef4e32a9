"""The files that `harness score` leaves: score.json and scores.csv."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

import numpy as np

from harness.base.errors import ConfigError
from harness.base.files import write_json, write_text

COLUMNS = (
    *("extractor", "score", "value", "low", "high", "n", "units", "at_baseline_n", "baseline_mean"),
    *("baseline_p05", "baseline_p95", "baseline_n", "note"),
)


def written(found: dict[str, Any], output: Path) -> dict[str, Any]:
    """Write both files; the answer knows where they are."""
    found = _finite({**found, "output": str(output)})
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


def _finite(value: Any) -> Any:
    """Plain data without NaN and infinity."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, np.generic):
        return _finite(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _table(found: dict[str, Any]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", restval="", extrasaction="ignore")
    writer.writeheader()
    groups = [(block["name"], block["scores"]) for block in found["extractors"]]
    groups.append(("", {f"ssim_diversity_{k}": v for k, v in found["ssim_diversity"].items()}))
    groups.append(("", (found["paired"] or {}).get("scores", {})))
    for extractor, scores in groups:
        for name, score in scores.items():
            low, high = score["interval"] or (None, None)
            baseline = {
                f"baseline_{key}": value for key, value in score.get("baseline", {}).items()
            }
            writer.writerow(
                {
                    "extractor": extractor,
                    "score": name,
                    "low": low,
                    "high": high,
                    **score,
                    **baseline,
                }
            )
    return text.getvalue()
