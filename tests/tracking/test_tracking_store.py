"""Where runs are kept, and the first use of a database by several at once."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import make_url

from harness.base.errors import ConfigError, EnvironmentFault
from harness.base.sqlite_file import sqlite_url
from harness.jobs.identity import folder_identity
from harness.tracking.run_index import ensure_experiment
from harness.tracking.store import (
    MlflowStore,
    masked,
    open_client,
    prepare,
    resolve,
)


def test_without_a_uri_runs_are_kept_in_the_work_folder(tmp_path: Path) -> None:
    home = tmp_path / "mlflow"
    store = resolve(tmp_path, None)
    assert store == MlflowStore("", home / "artifacts", home / "mlflow.db")
    assert make_url(store.uri).database == str(home / "mlflow.db")


def test_a_relative_work_folder_is_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve(Path("work"), None) == resolve(tmp_path / "work", None)
    assert resolve(Path("work"), "sqlite:///here.db").database == tmp_path / "here.db"


NAMES = (
    *("w?x", "w?mode=ro", "w#x", "w%20x", "w%3Fx", "50%", "w x", "wü漢", "w'x", 'w"x', "w&x"),
    *("w@h", "w;x", "w\\x", "w+x", "{x}", "w\nx", "w:x", "%(here)s", "[w]", "~", "file:x"),
)


@pytest.mark.parametrize("name", NAMES)
def test_a_work_folder_may_be_called_anything(workdir: Path, tmp_path: Path, name: str) -> None:
    workdir = workdir.rename(tmp_path / name)
    client = open_client(resolve(workdir, None))
    run = client.create_run(ensure_experiment(client, resolve(workdir, None), "demo")).info.run_id
    client.log_text(run, "words", "a.txt")
    assert [path.read_text() for path in workdir.rglob("a.txt")] == ["words"]
    with sqlite3.connect(workdir / "mlflow" / "mlflow.db") as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (1,)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_new_database_is_made_in_it_too(tmp_path: Path) -> None:
    open_client(resolve(tmp_path / "w?x%20", None))
    assert [path.name for path in tmp_path.iterdir()] == ["w?x%20"]
    assert (tmp_path / "w?x%20" / "mlflow" / "mlflow.db").stat().st_size > 100_000


def test_a_name_that_is_no_unicode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault) as error:
        sqlite_url(tmp_path / os.fsdecode(b"w\xff"))
    assert str(error.value) == (
        f"the path of a database must be one that its URL can hold, but got '{tmp_path}/w\\udcff'; "
        "rename the folder to letters, digits, '-' and '_'"
    )


def test_a_file_of_ones_own_is_named_as_urls_are(tmp_path: Path) -> None:
    assert resolve(tmp_path, "sqlite:////a%3Fb/c d.db").database == Path("/a?b/c d.db")
    with pytest.raises(ConfigError) as error:
        resolve(tmp_path, "sqlite:////a?b/c.db")
    assert str(error.value) == (
        "tracking.uri must name a sqlite file and no more, but got 'sqlite:////a?b/c.db'; where "
        "'?' belongs to its path, write %3F"
    )


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_decides_where_files_go(tmp_path: Path, scheme: str) -> None:
    uri = f"{scheme}://user:secret@host:5000"
    assert resolve(tmp_path, uri) == MlflowStore(uri, None, None)


@pytest.mark.parametrize("uri", ["postgresql://u:p@host/db", "postgresql+psycopg://h/db",
                                 "mysql+pymysql://h/db"])  # fmt: skip
def test_another_database_keeps_files_in_the_work_folder(tmp_path: Path, uri: str) -> None:
    assert resolve(tmp_path, uri) == MlflowStore(uri, tmp_path / "mlflow" / "artifacts", None)


@pytest.mark.parametrize(
    "uri", ["mlruns", "/var/mlruns", "file:///var/mlruns", "sqlite://", "sqlite:///", ""]
)
def test_what_cannot_keep_runs_is_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(ConfigError) as error:
        resolve(tmp_path, uri)
    assert str(error.value) == (
        "tracking.uri must name a server (http, https) or a database (sqlite, postgresql, mysql), "
        f"but got '{uri}'; leave it out to keep runs in the work folder"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pass@host/x", "https://***@host/x"),
        ("failed: http://a:b@c:1/p and http://d:e@f", "failed: http://***@c:1/p and http://***@f"),
        ("postgresql://u:p@ss@host/db", "postgresql://***@host/db"),
        ("https://host/p?token=abc&x=1", "https://host/p?token=***&x=1"),
        ("MLFLOW_TRACKING_PASSWORD=hunter2", "MLFLOW_TRACKING_PASSWORD=***"),
        ("http://127.0.0.1:5000/api", "http://127.0.0.1:5000/api"),
    ],
)
def test_credentials_are_not_shown(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_a_refused_uri_does_not_show_its_password(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        resolve(tmp_path, "file://me:hunter2@host/x")
    assert "hunter2" not in str(error.value)


FIRST_USE = """
import sys, time
from pathlib import Path
from harness.jobs.identity import folder_identity
from harness.tracking.store import open_client, quiet_environment, resolve
quiet_environment()
import mlflow
time.sleep(max(0.0, float(sys.argv[2]) - time.time()))
root = Path(sys.argv[1])
client = open_client(resolve(root, None))
client.search_experiments()
print(folder_identity(root))
"""


@pytest.mark.chaos
def test_several_processes_may_use_a_new_database_at_once(tmp_path: Path) -> None:
    """One makes it, the others wait; the rest of an earlier, killed first use is no hindrance."""
    home = tmp_path / "mlflow"
    home.mkdir()
    (home / ".mlflow.db.part").write_bytes(b"SQLite format 3\0 and half a page")
    (home / ".mlflow.db.part-journal").write_bytes(b"rest")
    command = [sys.executable, "-c", FIRST_USE, str(tmp_path), str(time.time() + 6)]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=200) for process in started]
    assert [process.returncode for process in started] == [0] * 2, answers
    assert len({out for out, _ in answers}) == 1
    assert not [path.name for path in home.iterdir() if ".part" in path.name]
    with sqlite3.connect(home / "mlflow.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)


def test_an_existing_database_is_left_as_it_is(workdir: Path) -> None:
    store = resolve(workdir, None)
    assert store.database is not None
    prepare(store)
    before = store.database.read_bytes()
    prepare(store)
    assert store.database.read_bytes() == before


def test_files_are_found_after_the_work_folder_moved(workdir: Path, tmp_path: Path) -> None:
    client = open_client(resolve(workdir, None))
    store = resolve(workdir, None)
    assert store.artifacts is not None
    experiment = client.create_experiment("demo", store.artifacts.as_uri())
    run = client.create_run(experiment).info.run_id
    note = tmp_path / "note.txt"
    note.write_text("what was said")
    client.log_artifact(run, str(note), "notes")
    for place in ("elsewhere", "a place #2 50%"):
        moved = tmp_path / place
        workdir.rename(moved)
        workdir = moved
        client = open_client(resolve(workdir, None))
        assert [entry.path for entry in client.list_artifacts(run, "notes")] == ["notes/note.txt"]
        copy = client.download_artifacts(run, "notes/note.txt", str(tmp_path))
        assert Path(copy).read_text() == "what was said"
        second = client.create_run(experiment)
        assert second.info.artifact_uri.startswith((workdir / "mlflow").as_uri())


LOG_TEXT = """
import sys
from pathlib import Path
from harness.tracking.store import open_client, resolve
open_client(resolve(Path(sys.argv[1]), None)).log_text(sys.argv[2], "second", "a.txt")
"""


def test_a_copied_work_folder_uses_its_own_files(workdir: Path, tmp_path: Path) -> None:
    client = open_client(resolve(workdir, None))
    store = resolve(workdir, None)
    assert store.artifacts is not None
    run = client.create_run(client.create_experiment("demo", store.artifacts.as_uri())).info.run_id
    client.log_text(run, "first", "a.txt")
    shutil.copytree(workdir, tmp_path / "copy")
    # In a process of its own: within one, MLflow remembers where a run's files go.
    command = [sys.executable, "-c", LOG_TEXT, str(tmp_path / "copy"), run]
    subprocess.run(command, check=True)
    assert [path.read_text() for path in workdir.rglob("a.txt")] == ["first"]
    assert [path.read_text() for path in (tmp_path / "copy").rglob("a.txt")] == ["second"]


def test_a_database_of_another_mlflow_is_named(workdir: Path) -> None:
    store = resolve(workdir, None)
    assert store.database is not None
    with sqlite3.connect(store.database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    with pytest.raises(EnvironmentFault, match="back it up and run `mlflow db upgrade` on it"):
        open_client(store)


def test_a_work_folder_keeps_its_identity_when_it_is_moved(tmp_path: Path) -> None:
    first = folder_identity(tmp_path / "a")
    assert folder_identity(tmp_path / "a") == first
    assert folder_identity(tmp_path / "b") != first
    (tmp_path / "a").rename(tmp_path / "c")
    assert folder_identity(tmp_path / "c") == first
