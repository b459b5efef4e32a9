"""The runs of one work folder as MLflow has them: by their key, each created once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.tracking.journal_cursor import Sent
from harness.tracking.mlflow_format import clean_name
from harness.tracking.run_view import RunView
from harness.tracking.store import MlflowStore

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

KEY = "harness.key"
FOLDER = "harness.folder"
SENT = "mlflow.harness.sent"  # the prefix keeps it out of what the pages show
PARENT = "mlflow.parentRunId"
NOTE = "mlflow.note.content"
IMAGES = "mlflow.loggedImages"
NAME_LENGTH = 200
NOTE_LENGTH = 7900
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
_OWN_TAGS = {"mlflow.source.name": "harness", "mlflow.source.type": "LOCAL"}
_PAGE = 1000


def joined(key: Iterable[str]) -> str:
    """A run's key as one text, unique and readable: "sweep-mask/trial-003/seed-1"."""
    return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in key)


@dataclass
class Shown:
    """One run as the tracker has it."""

    run_id: str
    name: str
    status: str
    start: int
    tags: dict[str, str] = field(default_factory=dict)
    params: set[str] = field(default_factory=set)
    sent: Sent = field(default_factory=Sent)

    @classmethod
    def of(cls, run: Run) -> Shown:
        return cls(
            run.info.run_id,
            run.info.run_name,
            run.info.status,
            run.info.start_time,
            dict(run.data.tags),
            set(run.data.params),
            Sent.read(run.data.tags.get(SENT, "")),
        )

    def note(self, params: Iterable[str], tags: Mapping[str, str], sent: Sent) -> None:
        """What has arrived at the tracker."""
        self.params |= {clean_name(name) for name in params}
        self.tags.update(tags)
        self.sent = sent


def ensure_experiment(client: MlflowClient, store: MlflowStore, name: str) -> str:
    """The id of the MLflow experiment; created, or restored, where it is missing."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        root = store.artifacts.as_uri() if store.artifacts is not None else None
        return str(client.create_experiment(name, root, tags=_EXPERIMENT_TAGS))
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return str(experiment.experiment_id)


class RunIndex:
    """Runs of one experiment and one work folder, by key."""

    def __init__(self, client: MlflowClient, experiment_id: str, folder: str) -> None:
        self.client = client
        self.experiment_id = experiment_id
        self.folder = folder
        self.shown: dict[str, Shown] = {}
        self._described: dict[str, str] | None = None
        for run in self._search():
            self._enter(run)

    def _search(self) -> Iterable[Run]:
        wanted = f"tags.`{FOLDER}` = '{self.folder}'"
        token = None
        while True:
            page = self.client.search_runs(
                [self.experiment_id], wanted, max_results=_PAGE, page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    def _enter(self, run: Run) -> None:
        """A run made twice (its first creation was answered too late) keeps its fuller half."""
        new = Shown.of(run)
        key = new.tags.get(KEY, "")
        old = self.shown.get(key)
        if old is not None:
            new, spare = (new, old) if len(new.sent.text()) > len(old.sent.text()) else (old, new)
            self.client.delete_run(spare.run_id)
        self.shown[key] = new

    def describe(self, tags: Mapping[str, str]) -> None:
        """Give the experiment tags that it lacks."""
        if self._described is None:
            self._described = dict(self.client.get_experiment(self.experiment_id).tags)
        for name, text in tags.items():
            if self._described.get(name) != text:
                self.client.set_experiment_tag(self.experiment_id, name, text)
                self._described[name] = text

    def find(self, key: tuple[str, ...]) -> Shown | None:
        return self.shown.get(joined(key))

    def make(self, view: RunView, start: int) -> Shown:
        """A new run; `start` in milliseconds since 1970."""
        name = view.name[:NAME_LENGTH]
        run = self.client.create_run(self.experiment_id, start, self.tags(view), name)
        self.shown[joined(view.key)] = Shown.of(run)
        return self.shown[joined(view.key)]

    def drop(self, key: tuple[str, ...]) -> None:
        """Delete a run whose journal was made anew: MLflow cannot take points back."""
        self.client.delete_run(self.shown.pop(joined(key)).run_id)

    def tags(self, view: RunView) -> dict[str, str]:
        """All tags a run should have, its place in the tree included."""
        tags = {**_OWN_TAGS, **view.tags, KEY: joined(view.key), FOLDER: self.folder}
        parent = None if view.parent is None else self.find(view.parent)
        if parent is not None:
            tags[PARENT] = parent.run_id
        if view.note:
            tags[NOTE] = view.note[:NOTE_LENGTH]
        return tags

    def news(self, view: RunView, shown: Shown) -> tuple[dict[str, str], dict[str, str]]:
        """Parameters and tags that the run lacks. Parameters are set once and never changed."""
        params = {n: v for n, v in view.params.items() if clean_name(n) not in shown.params}
        tags = {n: v for n, v in self.tags(view).items() if shown.tags.get(n) != v}
        return params, tags
