"""`sweep.storage` and `tracking.uri`: which URLs are taken, and that no password gets further than
the refusal."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from harness.base.errors import ConfigError, EnvironmentFault
from harness.config.experiment import Experiment
from harness.config.load import parse_experiment
from harness.config.render import render, sanitised
from harness.config.search import StageSweepConfig, SweepConfig
from harness.sweep.storage import Server, dashboard
from harness.sweep.study import Study

SECRET = "ge-heim"
DEPLOY = Path(__file__).parents[2] / "deploy"


def given(storage: str) -> Experiment:
    return parse_experiment("name: x\n", "x.yaml", [f"sweep.storage={storage}"])


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://host/studies",
        "postgresql://anna@host:5432/studies?sslmode=require",
        "postgresql+psycopg:///studies?host=/run/postgresql",
        "postgresql:///?service=team",
        "mysql+pymysql://host/studies?read_default_file=my.cnf",
    ],
)
def test_urls_without_a_secret_are_taken_and_stored_without_their_user(url: str) -> None:
    experiment = given(url)
    assert experiment.sweep.storage == url
    stored = sanitised(experiment)["sweep"]["storage"]
    assert stored.startswith(url.partition("://")[0])
    assert "anna" not in stored
    assert "?" not in stored
    assert Experiment.model_validate(yaml.safe_load(render(experiment))) == experiment
    Experiment.model_validate(sanitised(experiment))


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://anna:{SECRET}@host/studies",
        f"postgresql://anna:a#b?{SECRET}@im@host/studies",
        f"postgresql://host/studies?user=anna&password={SECRET}",
        f"mysql+pymysql://anna:{SECRET}@host/studies?passwd={SECRET}",
    ],
)
def test_a_password_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigError) as found:
        given(url)
    assert str(found.value) == (
        "-s sweep.storage: sweep.storage must hold no password, but got a URL with one (not "
        "shown); take it out of the URL and give it in PGPASSWORD, ~/.pgpass or, for MySQL, an "
        "option file"
    )
    with pytest.raises(ValidationError) as raised:
        Experiment.model_validate({"name": "x", "sweep": {"storage": url}})
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "got"),
    [
        ("sqlite:///studies.db", "'sqlite' (sqlite is what null keeps in the work folder)"),
        (f"anna:{SECRET}@host", "no such URL"),
        (f"[postgresql, {SECRET}]", "no such URL"),
        (f"oracle://anna:{SECRET}@host/x", "'oracle'"),
    ],
)
def test_what_is_no_such_url_is_said_without_showing_it(url: str, got: str) -> None:
    with pytest.raises(ConfigError) as found:
        given(url)
    assert str(found.value).endswith(f"mysql://HOST/DATABASE, but got {got}")
    assert SECRET not in str(found.value)


@pytest.mark.parametrize(
    ("uri", "elsewhere"),
    [
        (f"http://anna:{SECRET}@host:5000/x", "MLFLOW_TRACKING_TOKEN"),
        (f"HTTPS://:{SECRET}@host", "MLFLOW_TRACKING_TOKEN"),
        (f"https://anna:a/b@{SECRET}@host", "MLFLOW_TRACKING_TOKEN"),
        (f"https://host/mlflow?api_key={SECRET}", "MLFLOW_TRACKING_TOKEN"),
        (f"anna:{SECRET}@host", "MLFLOW_TRACKING_TOKEN"),
        (f"postgresql+psycopg://anna:{SECRET}@host/runs", "for MySQL, an option file"),
        (f"mysql://host/runs?user=anna;passwd={SECRET}", "for MySQL, an option file"),
    ],
)
@pytest.mark.parametrize("in_file", [True, False])
def test_a_password_of_the_tracker_is_refused_and_not_shown(
    uri: str, elsewhere: str, in_file: bool
) -> None:
    text = f"name: x\ntracking: {{uri: '{uri}'}}\n" if in_file else "name: x\n"
    with pytest.raises(ConfigError) as found:
        parse_experiment(text, "x.yaml", [] if in_file else [f"tracking.uri='{uri}'"])
    said = str(found.value)
    assert "tracking.uri must hold no password, but got a URL with one (not shown); take " in said
    assert said.endswith(elsewhere)
    assert SECRET not in said


def test_a_tracker_that_is_no_text_is_not_shown_either() -> None:
    with pytest.raises(ConfigError) as found:
        parse_experiment("name: x\n", "x.yaml", [f"tracking.uri=['http://anna:{SECRET}@host']"])
    assert SECRET not in str(found.value)


@pytest.mark.parametrize("uri", ["http://anna@host:5000", "https://host/x?a=b", "sqlite:///a.db"])
def test_a_tracker_without_a_secret_is_taken(uri: str) -> None:
    assert parse_experiment("name: x", "x", [f"tracking.uri='{uri}'"]).tracking.uri == uri


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    settings = StageSweepConfig.model_validate({"space": {"width": {"values": [4]}}})
    server = Server("postgresql://host/studies", "folder")
    with pytest.raises(EnvironmentFault) as found:
        Study(tmp_path / "mask.db", "mask", SweepConfig(), settings, "base", server)
    assert str(found.value) == (
        "sweep.storage needs a library to reach its database, but 'psycopg' is not installed; "
        "pip install 'harness[distributed]'"
    )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://anna@host:5432/studies", "postgresql+psycopg://host:5432/studies"),
        ("postgresql:///studies?host=/a@b", "'postgresql+psycopg:///studies?host=/a@b'"),
    ],
)
def test_the_dashboards_command_has_no_login(url: str, shown: str) -> None:
    assert dashboard(Path("mask.db"), Server(url, "folder")) == f"optuna-dashboard {shown}"


def test_a_file_is_named_by_its_whole_path(tmp_path: Path) -> None:
    (tmp_path / "my work").mkdir()
    path = tmp_path / "my work" / "mask.db"
    assert shlex.split(dashboard(path)) == ["optuna-dashboard", f"sqlite:///{path}"]


def test_the_teams_servers_are_well_formed_and_hold_no_password() -> None:
    subprocess.run(["bash", "-n", str(DEPLOY / "servers")], check=True)
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    passwords = [services["postgres"]["environment"]["POSTGRES_PASSWORD"]]
    passwords.append(services["mlflow"]["environment"]["PGPASSWORD"])
    assert all(word.startswith("${PGPASSWORD:?") for word in passwords)
    assert all(
        port.startswith("${LISTEN:-127.0.0.1}:")
        for service in services.values()
        for port in service["ports"]
    )
