"""A newer version takes over, a damaged one does not, and nobody who asked meanwhile is lost."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running_service import request, said, service
from untrained_model import save_model, untrained

from graftwork.model_folder import contents as model_folder
from graftwork.serving.answering import ModelAnswers
from graftwork.serving.http.first_photos import first_photos
from graftwork.serving.http.limits import limits
from graftwork.serving.http.running import is_ending
from graftwork.serving.reading import read_batch
from graftwork.serving.settings import Settings


@pytest.fixture
def model(tmp_path: Path, tiny_params: Callable[..., Any]) -> tuple[Any, Any, list[Path]]:
    """An experiment, its tree and its test photos."""
    experiment, artifacts, frame = untrained(tiny_params("evaluation.engine=torch"), tmp_path)
    return experiment, artifacts, [Path(path) for path in frame["path"]]


def another(experiment: Any, artifacts: Any) -> None:
    """Another version in the model folder's place."""
    save_model(experiment, artifacts, trained_share=0.5)


def test_answers_are_those_of_the_model_whoever_else_asks(model: Any) -> None:
    _, artifacts, photos = model
    size = limits().batch_size
    contract = model_folder.read_contract(artifacts.model)
    settings = replace(Settings.of(artifacts.model, trained=True), batch_size=size)
    batch = read_batch([str(path) for path in photos[:size]], contract, size)
    answers = ModelAnswers(artifacts.model, artifacts.trained, settings, lambda: batch)
    expected = answers.of_batch(batch.images, size)
    for name, of in {"onnx": contract.weights_sha256, "older": {}, "odd": None}.items():
        certificate = artifacts.root / "exports" / name / "certificate.json"
        certificate.parent.mkdir(parents=True)
        certificate.write_text(json.dumps({"model": of and {"weights_sha256": of}}))
    with service(artifacts.model, artifacts.trained) as found:
        alone = [found.posted(path.read_bytes()).json for path in photos[:size]]
        parts = [
            b'--b\r\nContent-Disposition: form-data; name="p"; filename="p"\r\n\r\n'
            + path.read_bytes()
            for path in photos[:size]
        ]
        form = b"\r\n".join([*parts, b"--b--\r\n"])
        together = found.posted(form, "multipart/form-data; boundary=b").json["photos"]
        seen = found.got("/metrics").body.decode()
        described = found.got("/model").json
    for row, one, other in zip(expected, alone, together, strict=True):
        assert one["photos"][0]["answers"] == other["answers"]
        chances = {answer["name"]: answer["probability"] for answer in other["answers"]}
        np.testing.assert_array_equal([chances[name] for name in contract.classes], row)
    assert "graftwork_batch_photos_sum 16.0" in seen and "graftwork_photos_total 16.0" in seen
    assert described["classes"] == contract.classes
    assert list(described["certificates"]) == ["onnx"]
    assert described["weights_sha256"] == contract.weights_sha256


def test_a_newer_version_takes_over_and_a_damaged_one_does_not(model: Any) -> None:
    experiment, artifacts, photos = model
    with service(artifacts.model, artifacts.trained, "watch_seconds=100") as found:
        first = found.posted(photos[0].read_bytes()).json["version"]
        assert found.posted(b"", path="/reload").json == {"version": first, "changed": False}
        another(experiment, artifacts)
        answer = found.posted(b"", path="/reload").json
        assert answer["changed"] and answer["version"] != first
        second = answer["version"]
        assert found.posted(photos[0].read_bytes()).json["version"] == second
        contract = artifacts.model / model_folder.CONTRACT
        whole = contract.read_text()
        contract.write_text(whole.replace('"format": 3', '"format": 9'))
        answer = found.posted(b"", path="/reload")
        assert answer.status == 409 and "is damaged" in answer.json["detail"]
        assert found.posted(photos[0].read_bytes()).json["version"] == second
        assert "is damaged" in found.got("/model").json["newest_is_refused"]
        contract.write_text(whole)
        assert found.posted(b"", path="/reload").json == {"version": second, "changed": False}
        assert not found.got("/model").json["newest_is_refused"]
        shutil.rmtree(artifacts.model)
        assert found.posted(b"", path="/reload").status == 409
        assert found.posted(photos[0].read_bytes()).status == 200


def test_nobody_is_lost_while_a_version_takes_over_or_the_service_ends(model: Any) -> None:
    """It is seen in the folder by itself; who asks with the last connection is answered."""
    experiment, artifacts, photos = model
    content, statuses, versions = photos[0].read_bytes(), list[int](), set[str]()
    with service(artifacts.model, artifacts.trained) as found:

        def ask() -> None:
            with socket.create_connection(("127.0.0.1", found.port), timeout=60) as connection:
                while True:
                    connection.sendall(request(found.port, content, "image/jpeg"))
                    answer = said(connection)
                    statuses.append(answer.status)
                    versions.add(answer.json["version"])
                    if answer.headers.get("connection") == "close":
                        return

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        another(experiment, artifacts)
        end = time.monotonic() + 60
        while len(versions) < 2:
            assert time.monotonic() < end
            time.sleep(0.01)
        found.server.should_exit = True
        for thread in threads:
            thread.join()
    assert set(statuses) == {200} and len(versions) == 2


def test_before_photos_came_the_engine_is_checked_on_test_photos_or_on_drawn_ones(
    model: Any,
) -> None:
    import pandas as pd

    _, artifacts, photos = model
    contract = model_folder.read_contract(artifacts.model)
    drawn = first_photos(artifacts.model, contract, 4)
    assert len(drawn.keys) == 4 and np.ptp(drawn.images) > 200
    artifacts.predictions.parent.mkdir(exist_ok=True)
    pd.DataFrame({"path": list(map(str, photos))}).to_parquet(artifacts.predictions)
    expected = read_batch([str(path) for path in photos[:4]], contract, 4)
    found = first_photos(artifacts.model, contract, 4)
    assert found.keys == expected.keys and np.array_equal(found.images, expected.images)
    artifacts.predictions.write_bytes(b"!")
    assert np.array_equal(first_photos(artifacts.model, contract, 4).images, drawn.images)


def test_who_asks_on_an_idle_connection_while_the_service_ends_is_answered_once_more(
    model: Any,
) -> None:
    _, artifacts, photos = model
    content = photos[0].read_bytes()
    with (
        service(artifacts.model, artifacts.trained) as found,
        socket.create_connection(("127.0.0.1", found.port), timeout=60) as connection,
    ):
        asked = request(found.port, content, "image/jpeg")
        connection.sendall(asked)
        assert "connection" not in said(connection).headers
        found.server.should_exit = True
        while not is_ending(found.server):
            time.sleep(0.01)
        time.sleep(0.2)  # uvicorn has told every connection
        connection.sendall(asked)
        answer = said(connection)
        assert answer.status == 200 and answer.headers["connection"] == "close"
