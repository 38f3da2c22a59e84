"""A real SLURM of one node on this machine, from Debian's packages, in a folder of its own.

python tests/real_slurm.py FOLDER      # prints the environment of its clients; Ctrl-C ends it
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "scancel")
CONFIGURATION = """\
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=15
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
JobRequeue=1
ReturnToService=2
MinJobAge=300
KillWait=5
SchedulerParameters=bf_interval=1,sched_interval=1
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=1000 State=UNKNOWN
PartitionName=here Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


def missing() -> str:
    """Why it cannot be brought up here; empty: it can."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if absent:
        return f"no {', '.join(absent)}: apt-get install slurm-wlm munge"
    return "" if os.geteuid() == 0 else "SLURM's daemons are started by root"


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


@contextmanager
def slurm() -> Iterator[dict[str, str]]:
    """Brought up and, in the end, down again; the environment by which clients find it."""
    with tempfile.TemporaryDirectory(prefix="slurm-") as place, ExitStack() as stack:
        folder = Path(place)
        environment = {**os.environ, "PATH": _path(), "SLURM_CONF": str(folder / "slurm.conf")}
        _configure(folder)
        munge = ("munged", "--foreground", "--force", f"--key-file={folder}/munge.key",
                 f"--socket={folder}/munge.socket", f"--pid-file={folder}/munge.pid",
                 f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed")  # fmt: skip
        for number, command in enumerate((munge, ("slurmctld", "-D"), ("slurmd", "-D"))):
            said = stack.enter_context((folder / f"{number}.log").open("w"))
            process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
            stack.callback(_ended, process)
            time.sleep(0.5)
        _wait(folder, environment)
        stack.callback(subprocess.run, ["scancel", "--state=RUNNING"], env=environment)
        yield environment


def _configure(folder: Path) -> None:
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.touch(0o600)
    key.write_bytes(os.urandom(128))
    with socket.socket() as one, socket.socket() as two:
        for free in (one, two):
            free.bind(("127.0.0.1", 0))
        controller, node = one.getsockname()[1], two.getsockname()[1]
    facts = {"host": socket.gethostname().partition(".")[0], "cpus": os.cpu_count()}
    text = CONFIGURATION.format(folder=folder, controller=controller, node=node, **facts)
    (folder / "slurm.conf").write_text(text)


def _wait(folder: Path, environment: dict[str, str]) -> None:
    for _ in range(100):
        asked = ["sinfo", "--noheader", "--format=%T"]
        found = subprocess.run(asked, env=environment, capture_output=True, text=True)
        if found.stdout.strip() in ("idle", "mixed"):
            return
        time.sleep(0.2)
    logs = "\n".join(log.read_text()[-2000:] for log in sorted(folder.glob("*.log")))
    raise RuntimeError(f"SLURM does not come up: {found.stdout} {found.stderr}\n{logs}")


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    if reason := missing():
        sys.exit(reason)
    with slurm() as told:
        print(f"export SLURM_CONF={told['SLURM_CONF']} PATH={told['PATH']}", flush=True)
        while True:
            time.sleep(60)
