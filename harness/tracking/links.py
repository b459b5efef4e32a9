"""Addresses of MLflow's pages that are worth opening.

Every address says `workflowType=machine_learning`: without it MLflow opens its page for chat
applications.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from harness.tracking.mlflow_format import clean_name

_KIND = {"workflowType": "machine_learning"}


@dataclass(frozen=True)
class Pages:
    """Pages of one experiment.

    Attributes:
        base: address of the server, e.g. "http://127.0.0.1:5000".
        experiment_id: MLflow's id of the experiment.
    """

    base: str
    experiment_id: str

    def runs(self) -> str:
        """The table of runs, newest first, nested."""
        return self._runs({})

    def charts(self, metric: str, where: str) -> str:
        """Curves and pictures of some runs side by side, the smallest value first.

        Args:
            metric: e.g. "quality/kid".
            where: MLflow's search words, e.g. `tags.kind = "seed"`.

        Sorting by a metric also flattens the tree: in the nested table MLflow draws the charts of
        the outermost runs only, which have no curves.
        """
        asked = {"searchFilter": where, "orderByKey": f"metrics.`{clean_name(metric)}`"}
        return self._runs({**asked, "orderByAsc": "true", "compareRunsMode": "CHART"})

    def shared(self, name: str) -> str:
        """A table of runs as the experiment's tag `mlflow.sharedViewState.<name>` describes it."""
        return self._runs({"viewStateShareKey": name})

    def run(self, run_id: str) -> str:
        """What one run is: its description, settings and scores."""
        return self._runs({}, f"/{run_id}")

    def _runs(self, asked: Mapping[str, str], path: str = "") -> str:
        query = urlencode({**_KIND, **asked}, quote_via=quote, safe="")
        root = self.base.rstrip("/")
        return f"{root}/#/experiments/{self.experiment_id}/runs{path}?{query}"
