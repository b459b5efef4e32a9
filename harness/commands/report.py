"""Write the page of whatever is finished, and publish it if asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.base.denied import is_denied, why
from harness.base.errors import ConfigError
from harness.commands.gather import gather
from harness.commands.output_folder import unwritable
from harness.commands.session import Session
from harness.report.index import check_folder, check_place, publish_index
from harness.report.page import write_report


def write_page(session: Session, publish: Path | None = None) -> dict[str, Any]:
    """Write the report of whatever is finished; also into the list of a folder of reports.

    Where the experiment's folder cannot be written, a page that is published is written there
    alone.

    Raises:
        ConfigError: a folder to write or to publish in that cannot be written.
    """
    data = gather(session)
    page: Path | None = None
    published = None
    try:
        page = write_report(data, session.home / "report")
    except OSError as error:
        if not is_denied(error):
            raise
        if publish is None:
            raise ConfigError(
                "the page must have a folder that can be written, but got "
                f"'{session.home / 'report'}' ({why(error)}); have it written to another one "
                "by harness report --publish FOLDER"
            ) from error
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
        "report": str(page) if page is not None else published,
        "published": published,
        "finished": bool(data.comparison and data.comparison.finished),
        "verdicts": [effect.sentence for effect in data.effects],
    }
