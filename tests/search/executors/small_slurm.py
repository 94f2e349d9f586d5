"""A Slurm of one node on this machine: Debian's munge, slurmctld, slurmd and slurm-client, run by root."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "srun")
CONFIGURATION = """
ClusterName=small
SlurmctldHost={host}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,batch_sched_delay=0
ReturnToService=2
MpiDefault=none
SlurmctldPort={first}
SlurmdPort={second}
KillWait=2
NodeName={host} CPUs={cpus} State=UNKNOWN
PartitionName=small Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> list[str]:
    return [program for program in PROGRAMS if shutil.which(program) is None]


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("", 0))
        return int(bound.getsockname()[1])


@contextmanager
def small_slurm(folder: Path) -> Iterator[Path]:
    """Its configuration, for SLURM_CONF. Raises AssertionError if it does not come up."""
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    path = folder / "slurm.conf"
    path.write_text(
        CONFIGURATION.format(
            host=socket.gethostname().partition(".")[0],
            folder=folder,
            first=free_port(),
            second=free_port(),
            cpus=os.cpu_count(),
        )
    )
    environment = {**os.environ, "SLURM_CONF": str(path)}
    munge = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket"]
    munge += [f"--{kind}-file={folder}/munge.{kind}" for kind in ("pid", "log", "seed")]
    commands = [munge, ["slurmctld", "-D"], ["slurmd", "-D"]]
    daemons = []
    try:
        for command in commands:
            with (folder / f"{command[0]}.out").open("w") as log:
                daemons.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
            time.sleep(1)
        deadline = time.monotonic() + 60
        while "idle" not in (found := _said(environment, "sinfo", "--noheader", "--format=%t")):
            assert time.monotonic() < deadline, f"Slurm did not come up: {found}"
            time.sleep(0.5)
        yield path
    finally:
        # A step outlives the daemons that started it.
        subprocess.run(["scancel", "--me"], env=environment, capture_output=True, timeout=30, check=False)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and _said(environment, "squeue", "--noheader", "--format=%i").strip():
            time.sleep(0.5)
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(20)


def _said(environment: dict[str, str], *command: str) -> str:
    asked = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    return asked.stdout + asked.stderr
