"""A real SLURM on the loopback interface: node `n1` with CPUs and node `n2` with two (fake) GPUs.

Needs Debian's slurmctld, slurmd, slurm-client and munge, and root; ready in one or two seconds. No accounting
database, so a job's state comes from `squeue`. While it runs, /etc/slurm/slurm.conf is a link to its
configuration: the plugin starts `srun` without SLURM_CONF.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

ETC = Path("/etc/slurm")
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")

SLURM_CONF = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge/socket
StateSaveLocation={root}/state
SlurmctldPidFile={root}/slurmctld.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdSpoolDir={root}/spool-%n
SlurmdPidFile={root}/slurmd-%n.pid
SlurmdLogFile={root}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherParams=OverMemoryKill
JobAcctGatherFrequency=1
AccountingStorageType=accounting_storage/none
MinJobAge=3600
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0
GresTypes=gpu
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
OverTimeLimit=0
InactiveLimit=0
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={n1} CPUs=64 RealMemory=500000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={n2} CPUs=64 RealMemory=500000 Gres=gpu:a100:2
PartitionName=cpu Nodes=n1 Default=YES MaxTime=INFINITE
PartitionName=gpu Nodes=n2 MaxTime=INFINITE
"""


@contextlib.contextmanager
def slurm(root: Path) -> Iterator[None]:
    """Run a cluster that keeps its files under `root`.

    Raises:
        RuntimeError: a program is missing, or the nodes do not come up; with the remedy or the logs.
    """
    missing = [name for name in PROGRAMS if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")]
    if missing:
        raise RuntimeError(f"{', '.join(missing)} missing: apt-get install slurmctld slurmd slurm-client munge")
    if os.geteuid() != 0:
        raise RuntimeError("a SLURM of one's own needs root: run these tests as root, or in a container")
    if (ETC / "slurm.conf").exists():
        raise RuntimeError(f"{ETC}/slurm.conf is there: this machine has a SLURM already, or another test runs one")
    host = socket.gethostname().split(".")[0]
    ports = dict(zip(("port", "n1", "n2"), _free_ports(3), strict=True))
    conf = root / "slurm.conf"
    conf.write_text(SLURM_CONF.format(root=root, host=host, **ports))
    (root / "gres.conf").write_text(f"NodeName=n2 Name=gpu Type=a100 File={root}/card[0-1]\n")
    for number in range(2):
        os.mknod(root / f"card{number}", 0o600 | 0o020000, os.makedev(1, 3))
    env = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    processes: list[subprocess.Popen] = []
    ETC.mkdir(exist_ok=True)
    try:
        for name in ("slurm.conf", "gres.conf"):
            (ETC / name).unlink(missing_ok=True)
            (ETC / name).symlink_to(root / name)
        processes.append(_munge(root, env))
        for command in (["slurmctld", "-D"], ["slurmd", "-D", "-N", "n1"], ["slurmd", "-D", "-N", "n2"]):
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            processes.append(subprocess.Popen(command, env=env, **quiet))
        _wait_until_idle(root)
        yield
    finally:
        if len(processes) > 1:
            subprocess.run(["scancel", "--user=root"], timeout=20, check=False, capture_output=True)
            time.sleep(0.5)
        for process in reversed(processes):
            process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        for name in ("slurm.conf", "gres.conf"):
            (ETC / name).unlink(missing_ok=True)


def _munge(root: Path, env: dict[str, str]) -> subprocess.Popen:
    folder = root / "munge"
    folder.mkdir(mode=0o755)
    key = folder / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    command = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/socket"]
    command += [f"--{name}-file={folder}/{name}" for name in ("pid", "log", "seed")]
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while not (folder / "socket").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            log = folder / "log"
            raise RuntimeError(f"munged did not start: {log.read_text() if log.exists() else 'no log'}")
        time.sleep(0.05)
    return process


def _wait_until_idle(root: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        states = subprocess.run(["sinfo", "-h", "-N", "-o", "%T"], capture_output=True, text=True, check=False)
        if states.stdout.split() == ["idle", "idle"]:
            return
        time.sleep(0.1)
    logs = "\n".join(f"{log}:\n{log.read_text()[-2000:]}" for log in sorted(root.glob("*.log")))
    raise RuntimeError(f"SLURM's nodes did not come up: {states.stdout} {states.stderr}\n{logs}")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
