"""MLflow: a SQLite file in the run directory, or a server."""

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from secateurs.recipes.trackers._base import About, Status, flat
from secateurs.recipes.trackers._section import MlflowOptions

__all__ = ["MlflowTracker", "mlflow_uri"]

_FILE = "mlflow.db"
_ID = "secateurs.id"
_ENDS = {"finished": "FINISHED", "failed": "FAILED"}
_LONGEST = 6000  # characters of a parameter's value that MLflow takes
_MANY = 100  # parameters that it takes in one request


def mlflow_uri(options: MlflowOptions, home: Path) -> str:
    """Where the run is tracked; a study's runs are together."""
    return options.uri or os.environ.get("MLFLOW_TRACKING_URI") or _own_uri(home)


def _own_uri(home: Path) -> str:
    return f"sqlite:///{home.resolve() / _FILE}"


def _make_database(file: Path) -> None:
    """Make the tables elsewhere and rename: MLflow refuses for good a file that a kill left with half of them."""
    from mlflow import MlflowClient

    if file.exists():
        return
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")  # a resumed run removes such files
    partial.unlink(missing_ok=True)
    MlflowClient(tracking_uri=f"sqlite:///{partial}").search_experiments(max_results=1)
    partial.replace(file)


class MlflowTracker:
    """Finds its run by a tag that it set itself: a kill right after making one leaves no second."""

    def __init__(self, options: MlflowOptions) -> None:
        self._options = options
        self._client: Any = None
        self._run = ""
        self._epochs: set[int] = set()

    def open(self, about: About) -> None:
        """Find or make the run, and see which epochs it has."""
        from mlflow import MlflowClient

        for noisy in ("mlflow", "alembic"):  # making the tables is told at length
            logging.getLogger(noisy).setLevel(logging.WARNING)
        uri = mlflow_uri(self._options, about.home)
        if uri == _own_uri(about.home):
            _make_database(about.home.resolve() / _FILE)
        self._client = MlflowClient(tracking_uri=uri)
        experiment = self._experiment(self._options.experiment or about.study, about.home)
        found = self._client.search_runs([experiment], f"tags.`{_ID}` = '{about.id}'")
        if found:
            self._run = found[0].info.run_id
            self._client.update_run(self._run, status="RUNNING")
            self._epochs = {point.step for point in self._client.get_metric_history(self._run, "epoch")}
        else:
            tags = {_ID: about.id, "study": about.study, "part": about.part}
            self._run = self._client.create_run(experiment, run_name=about.name, tags=tags).info.run_id
        self._log_config(about.config)

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """All figures at once: they are there together or not at all."""
        if number not in self._epochs:
            self._epochs.add(number)
            self._send(number, {**values, "epoch": number})

    def results(self, number: int, values: Mapping[str, float]) -> None:
        """Metrics with a single point each; those that are there stay."""
        there = self._client.get_run(self._run).data.metrics
        self._send(number, {key: value for key, value in values.items() if key not in there})

    def close(self, status: Status) -> None:
        """Set the run's status."""
        self._client.set_terminated(self._run, _ENDS[status])

    def _experiment(self, name: str, home: Path) -> str:
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(name)
        if found is None:
            place = None if self._options.uri else (home.resolve() / "mlruns").as_uri()
            try:
                return str(self._client.create_experiment(name, artifact_location=place))
            except MlflowException:  # another run was quicker
                found = self._client.get_experiment_by_name(name)
        return str(found.experiment_id)

    def _log_config(self, config: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        there = self._client.get_run(self._run).data.params
        missing = [(key, value) for key, value in flat(config, "").items() if key not in there]
        rows = [Param(key, str(value)[:_LONGEST]) for key, value in missing]
        for first in range(0, len(rows), _MANY):
            self._client.log_batch(self._run, params=rows[first : first + _MANY])

    def _send(self, number: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        self._client.log_batch(self._run, metrics=[Metric(key, value, now, number) for key, value in values.items()])
