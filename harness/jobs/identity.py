"""Who a work folder is to the servers that several of them share."""

from __future__ import annotations

import uuid
from pathlib import Path

from harness.base.errors import Damaged
from harness.base.files import CHANGED, locked, read_record, write_record


def folder_identity(workdir: Path) -> str:
    """A name that the work folder keeps when it is moved; made on first use.

    Two work folders that share a server keep their runs and studies apart by it. A copy of a folder
    has its name: remove `mlflow/folder.json` from the copy to make it a folder of its own.
    """
    path = workdir / "mlflow" / "folder.json"
    if not path.exists():
        with locked(path):
            if not path.exists():
                write_record(path, {"id": uuid.uuid4().hex[:12]})
    try:
        return str(read_record(path)["id"])
    except (Damaged, KeyError) as error:
        then = (
            "bring it back from a copy, or remove it: the folder's runs and studies on servers "
            "then begin anew under another name"
        )
        raise Damaged(path, getattr(error, "why", CHANGED), then) from error
