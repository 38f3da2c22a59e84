"""What a project's stores of runs have not been told, sent when somebody asks for it."""

from __future__ import annotations

from graftwork.recording.finished_runs import recorded_at
from graftwork.recording.kept_letters import place, waiting
from graftwork.recording.mlflow_store import open_store
from graftwork.recording.outbox import Outbox
from graftwork.storage.artifacts import Artifacts


def send(artifacts: Artifacts) -> int:
    """Tells the store of params.yaml, or the project's own, what it has missed.

    Returns:
        how many entries it was told.

    Raises:
        UserError: the store cannot be used.
    """
    uri = recorded_at(artifacts.params)
    folder = place(artifacts, uri)
    before = waiting(artifacts).get(folder, 0)
    if not before:
        return 0
    return before - Outbox(open_store(uri, artifacts), folder).close()
