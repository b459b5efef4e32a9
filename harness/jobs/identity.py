"""Who a work folder is to the servers that several of them share."""

from __future__ import annotations

import uuid
from pathlib import Path

from harness.base.files import locked, read_json, write_json


def folder_identity(workdir: Path) -> str:
    """A name that the work folder keeps when it is moved; made on first use.

    Two work folders that share a server keep their runs and studies apart by it. A copy of a folder
    has its name: remove `mlflow/folder.json` from the copy to make it a folder of its own.
    """
    path = workdir / "mlflow" / "folder.json"
    if not path.exists():
        with locked(path):
            if not path.exists():
                write_json(path, {"id": uuid.uuid4().hex[:12]})
    return str(read_json(path)["id"])
