"""What MLflow's store has of an experiment."""

from __future__ import annotations

from mlflow import MlflowClient

from graftwork.storage.artifacts import Artifacts


def client(artifacts: Artifacts) -> MlflowClient:
    return MlflowClient(f"sqlite:///{artifacts.mlflow_db}")


def listed(artifacts: Artifacts, run_id: str) -> set[str]:
    return {item.path for item in client(artifacts).list_artifacts(run_id)}
