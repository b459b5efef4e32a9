"""The list of published reports, as a README that renders where the repository is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.base.errors import Damaged, DataError
from harness.base.files import read_json, write_text
from harness.report.page import PAGE, SUMMARY
from harness.sweep.observations import claims_by_word

TITLE = "# Reports\n\nPublished results, newest first."
HEAD = f"""{TITLE} Each folder holds one self-contained page (`index.html`), its
tables as CSV, and `report.json`, the same in figures for programs.

"""
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#])")


def check_folder(folder: Path) -> None:
    """Whether a folder's README is a list of reports, or there is none.

    Raises:
        DataError: it is somebody's own.
    """
    path = folder / "README.md"
    if path.exists() and not path.read_text(encoding="utf-8").startswith(TITLE):
        raise DataError(
            f"a folder of reports must have a README.md that lists them, but got another one in "
            f"'{folder.name}'; move it, or name another folder"
        )


def check_place(folder: Path, question: str) -> None:
    """Whether a report may be written into a folder: it is new, or holds one of this question.

    Raises:
        DataError: it holds the report of another question.
    """
    path = folder / SUMMARY
    if path.exists() and _read(path)["question"] != question:
        raise DataError(
            f"a published report may only replace one of the same question, but {folder.name} asks "
            f"'{_read(path)['question']}'; give the experiment another name, or remove that folder"
        )


def publish_index(folder: Path) -> Path:
    """Write `README.md` in `folder`, listing every subfolder that holds a `report.json`.

    Raises:
        DataError: a `report.json` is not one that `write_report` made, or the README is not a list
            that this function wrote.
    """
    check_folder(folder)
    path = folder / "README.md"
    entries = [_read(path) for path in sorted(folder.glob(f"*/{SUMMARY}"))]
    entries.sort(key=lambda entry: entry["date"], reverse=True)
    write_text(path, HEAD + (_table(entries) if entries else "None yet.\n"))
    return path


def _read(path: Path) -> dict[str, Any]:
    try:
        summary = read_json(path)
        return {
            "folder": path.parent.name,
            "question": str(summary["question"]),
            "date": str(summary["date"]),
            "answer": _answer(summary),
        }
    except (Damaged, KeyError, TypeError) as error:
        raise DataError(
            f"each {SUMMARY} must be one that the report command wrote, but got one in "
            f"{path.parent.name} without {error}; write that report again"
        ) from error


def _answer(summary: dict[str, Any]) -> str:
    words = str(summary["headline"])
    stages = (summary.get("collapse") or {}).values()
    if summary["status"] == "no comparison" and (observed := summary.get("observations")):
        return claims_by_word((str(one["says"]), str(one["word"])) for one in observed)
    if summary["status"] == "no comparison" and stages:  # a sweep alone: what became of it
        return " ".join(s[:1].upper() + s[1:] for s in (str(st["sentence"]) for st in stages))
    # A budget that was not shown to suffice is in the headline, and is no path to be shown.
    if summary.get("shows_path", not summary["conclusive"]):
        return f"Shows the path, too short to conclude. {words}"
    if summary["verdict"] is None and summary["status"] in ("pilot", "cells only"):
        return f"No verdict ({summary['status']}). {words}"
    return words


def _table(entries: list[dict[str, Any]]) -> str:
    lines = ["| report | question | answer | date |", "|---|---|---|---|"]
    for entry in entries:
        folder = entry["folder"]
        link = f"[{_plain(folder)}]({quote(folder)}/{PAGE})"
        cells = (link, _plain(entry["question"]), _plain(entry["answer"]), entry["date"])
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))
