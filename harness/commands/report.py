"""Write the page of whatever is finished, and publish it if asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.commands.gather import gather
from harness.commands.output_folder import unwritable
from harness.commands.session import Session
from harness.report.index import check_folder, check_place, publish_index
from harness.report.page import write_report


def write_page(session: Session, publish: Path | None = None) -> dict[str, Any]:
    """Write the report of whatever is finished; also into the list of a folder of reports.

    Raises:
        ConfigError: a folder to publish in that cannot be written.
    """
    data = gather(session)
    page = write_report(data, session.home / "report")
    published = None
    if publish is not None:
        try:
            check_folder(publish)  # before anything is written into it
            check_place(publish / session.experiment.name, session.experiment.question)
            published = str(write_report(data, publish / session.experiment.name))
            publish_index(publish)
        except OSError as error:
            what = "a folder that can be written"
            raise unwritable("--publish", what, publish, error) from error
    return {
        "report": str(page),
        "published": published,
        "finished": bool(data.comparison and data.comparison.finished),
        "verdicts": [effect.sentence for effect in data.effects],
    }
