from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from graftwork.cli import ui
from graftwork.cli.ui_guard import TIED
from graftwork.config.errors import UserError
from graftwork.recording.mlflow_store import open_store
from graftwork.storage.artifacts import Artifacts

PROJECT = Path(__file__).parents[2]


def created(port: int, headers: dict[str, str], asked: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    sent = {"Content-Type": "application/json", **headers}
    connection.request("POST", CREATE, json.dumps(asked), sent)
    try:
        return connection.getresponse().status
    finally:
        connection.close()


def answer(port: int, method: str, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    try:
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The port of a served project, and the process."""
    root = tmp_path_factory.mktemp("a project")
    open_store(None, Artifacts.at(root))
    port = ui.free_port()
    code = "import sys; from pathlib import Path; from graftwork.cli.ui import serve; " \
           "serve(Path(sys.argv[1]), int(sys.argv[2]))"  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(PROJECT / "src")}
    command = [sys.executable, "-c", code, str(root), str(port)]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(600):
            try:
                answer(port, "GET", "/health")
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.1)
        yield port, process
        process.send_signal(signal.SIGINT)
        process.wait(20)
    with socket.socket() as probe:  # nothing is left behind on the port
        assert probe.connect_ex(("127.0.0.1", port)) != 0


HOSTS = ["10.evil.com", "192.168.evil.com", "evil.com", "localhost", "localhost:1", "127.0.0.1",
         "127.0.0.1.evil.com:{port}", "0.0.0.0:{port}", ""]  # fmt: skip
CREATE = "/api/2.0/mlflow/experiments/create"
LIST = "/api/2.0/mlflow/experiments/search?max_results=1"


@pytest.mark.parametrize("host", HOSTS)
def test_a_hostile_host_is_refused(server, host):
    port, _ = server
    for path in ("/", LIST, "/ajax-api/2.0/mlflow/experiments/search?max_results=1"):
        assert answer(port, "GET", path, Host=host.format(port=port)) == 403


@pytest.mark.parametrize("host", ["localhost:{port}", "127.0.0.1:{port}"])
def test_this_machine_is_answered(server, host):
    port, _ = server
    assert answer(port, "GET", LIST, Host=host.format(port=port)) == 200
    assert answer(port, "GET", "/", Host=host.format(port=port)) == 200


ORIGINS = [
    *("http://evil.com", "null", "https://127.0.0.1.evil.com", "http://127.0.0.1"),
    *("http://localhost:1", "http://localhost:80.evil.com", "https://localhost:{port}"),
]


@pytest.mark.parametrize("origin", ORIGINS)
def test_a_foreign_page_reads_and_changes_nothing(server, origin):
    port, _ = server
    foreign = {"Host": f"localhost:{port}", "Origin": origin.format(port=port)}
    for method, path in (("POST", CREATE), ("GET", LIST), ("OPTIONS", LIST), ("GET", "/")):
        assert answer(port, method, path, **foreign) == 403


def test_its_own_page_may_name_an_experiment_but_no_place(server):
    port, _ = server
    own = {"Host": f"localhost:{port}", "Origin": f"http://localhost:{port}"}
    for place in ("file:///etc", "/etc", "s3://elsewhere"):
        assert created(port, own, {"name": "taken", "artifact_location": place}) == 400
        assert created(port, own, {"name": "taken", "artifactLocation": place}) == 400
    assert created(port, own, {"name": "taken"}) == 200, "none of them was made"


def test_it_listens_on_this_machine_only(server):
    port, _ = server
    own = [item[4][0] for item in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    for address in own:
        if not address.startswith("127."):
            with socket.socket() as probe:
                probe.settimeout(2)
                assert probe.connect_ex((address, port)) != 0


def test_a_port_in_use_is_named_with_a_free_one(server, tmp_path):
    port, _ = server
    Artifacts.at(tmp_path).mlflow_db.touch()
    with pytest.raises(UserError, match=rf"--port: {port} is taken.*Free: \d+"):
        ui.serve(tmp_path, port)


def test_wrong_ports_and_folders_are_named(tmp_path):
    with pytest.raises(UserError, match="no runs are recorded"):
        ui.serve(tmp_path, 5000)
    Artifacts.at(tmp_path).mlflow_db.touch()
    with pytest.raises(UserError, match="--port: 80 is out of bounds"):
        ui.serve(tmp_path, 80)


def test_a_killed_starter_takes_the_server_with_it(tmp_path):
    note = tmp_path / "pid"
    code = (
        "import os, sys, time; from graftwork.cli import ui_guard; ui_guard._end_with_starter();"
        f"open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    )
    starter = (
        "import os, signal, subprocess, sys, time; from pathlib import Path;"
        "subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdin=subprocess.PIPE,"
        "start_new_session=True); note = Path(sys.argv[2])\n"
        "while not (note.exists() and note.read_text()): time.sleep(0.05)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    env = {**os.environ, "PYTHONPATH": str(PROJECT / "src")}
    subprocess.run([sys.executable, "-c", starter, code, str(note)], env=env, timeout=60)
    assert ended(int(note.read_text())), "the server lives on"


def ended(process: int) -> bool:
    """Whether it ends within ten seconds; it is ended then."""
    with suppress(psutil.NoSuchProcess):
        child = psutil.Process(process)
        for _ in range(100):
            if child.status() == psutil.STATUS_ZOMBIE:
                return True
            time.sleep(0.1)
        child.kill()
        return False
    return True


def test_serving_holds_the_pipe_and_says_so(tmp_path, monkeypatch):
    Artifacts.at(tmp_path).mlflow_db.touch()
    started = {}

    def popen(command, **options):
        started.update(options)
        raise OSError("not started")

    monkeypatch.setattr(ui.subprocess, "Popen", popen)
    with pytest.raises(OSError, match="not started"):
        ui.serve(tmp_path, ui.free_port())
    assert started["stdin"] == subprocess.PIPE and started["start_new_session"]
    assert started["env"][TIED], "else the pipe's end would tell nobody"


def test_the_server_runs_no_jobs_and_unpickles_nothing():
    assert ui.environment(5000)["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert ui.environment(5000)["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"


def test_serving_ends_with_the_server(tmp_path, monkeypatch, capsys):
    Artifacts.at(tmp_path).mlflow_db.touch()
    port = ui.free_port()
    monkeypatch.setattr(ui, "command", lambda *_: [sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(SystemExit) as ended:
        ui.serve(tmp_path, port)
    assert ended.value.code == 3 and f"http://127.0.0.1:{port}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (signal.SIGINT, KeyboardInterrupt),
        (signal.SIGTERM, SystemExit),
        (signal.SIGHUP, SystemExit),
    ],
)
def test_ending_it_ends_the_server_too(tmp_path, monkeypatch, kind, error):
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests, too, may run under nohup
    Artifacts.at(tmp_path).mlflow_db.touch()
    note = tmp_path / "pid"
    code = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    monkeypatch.setattr(ui, "command", lambda *_: [sys.executable, "-c", code])
    timer = threading.Timer(1.0, lambda: os.kill(os.getpid(), kind))
    timer.start()
    with pytest.raises(error):
        ui.serve(tmp_path, ui.free_port())
    timer.join()
    for number, handler in before.items():
        signal.signal(number, handler)
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)
