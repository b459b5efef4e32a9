"""Addresses of MLflow's pages that are worth opening.

Every address says `workflowType=machine_learning`: without it MLflow opens its page for chat
applications.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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

    def leaderboard(
        self, metric: str, ascending: bool = True, where: str = "", charts: bool = False
    ) -> str:
        """Runs by a metric.

        Args:
            metric: e.g. "quality/kid".
            ascending: the smallest first.
            where: MLflow's search words, e.g. `tags.kind = "trial"`.
            charts: show curves and pictures side by side, not the table.

        Sorting by a metric also flattens the tree: in the nested table MLflow draws the charts of
        the outermost runs only, which have no curves.
        """
        asked = {"searchFilter": where} if where else {}
        asked["orderByKey"] = f"metrics.`{clean_name(metric)}`"
        asked["orderByAsc"] = "true" if ascending else "false"
        if charts:
            asked["compareRunsMode"] = "CHART"
        return self._runs(asked)

    def shared(self, name: str) -> str:
        """A table of runs as the experiment's tag `mlflow.sharedViewState.<name>` describes it."""
        return self._runs({"viewStateShareKey": name})

    def compare(self, run_ids: Sequence[str]) -> str:
        """Chosen runs side by side: parameters, metrics, plots."""
        asked = {"runs": json.dumps(list(run_ids)), "experiments": json.dumps([self.experiment_id])}
        return f"{self._root}/#/compare-runs?{_query({**asked, **_KIND})}"

    def run(self, run_id: str) -> str:
        """Curves and sample pictures of one run."""
        place = f"experiments/{self.experiment_id}/runs/{run_id}/model-metrics"
        return f"{self._root}/#/{place}?{_query(_KIND)}"

    @property
    def _root(self) -> str:
        return self.base.rstrip("/")

    def _runs(self, asked: Mapping[str, str]) -> str:
        query = _query({**_KIND, **asked})
        return f"{self._root}/#/experiments/{self.experiment_id}/runs?{query}"


def _query(asked: Mapping[str, str]) -> str:
    return urlencode(asked, quote_via=quote, safe="")
