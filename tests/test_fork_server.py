"""Jobs forked from a process that has torch loaded: they run, fail and are cancelled as if started by themselves."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.project import REPOSITORY

ENVIRONMENT = {"PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'workflow_scripts'}"}
START = """
import os, sys
from polychromic.workflow import fork_server
fork_server.start()
print(os.environ[fork_server.SOCKET], flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def snakemake():
    """A process in Snakemake's place, and the socket that it gives its jobs."""
    process = subprocess.Popen(
        [sys.executable, "-c", START],
        env=os.environ | ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process, process.stdout.readline().strip()
    process.stdin.close()
    process.wait()


def script(folder: Path, body: str) -> list[str]:
    file = folder / "job.py"
    file.write_text("import sys\nimport _fork\n" + textwrap.dedent(body))
    return [sys.executable, str(file), "an argument"]


def run(command: list[str], path: str, **more) -> subprocess.CompletedProcess:
    environment = os.environ | ENVIRONMENT | {"POLYCHROMIC_FORK_SERVER": path, "MARK": "here"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, **more)


def test_a_script_finds_libraries_loaded_and_its_surroundings_as_they_were(snakemake, tmp_path):
    command = script(
        tmp_path,
        """
        import os
        print("torch" in sys.modules, os.getcwd(), sys.argv[1:], os.environ["MARK"])
        print("POLYCHROMIC_FORK_SERVER" in os.environ)
        print([name for name in sys.modules if name.startswith("polychromic.")])
        print("complaint", file=sys.stderr)
        """,
    )
    done = run(command, snakemake[1], cwd=tmp_path)
    ours = ["polychromic.workflow", "polychromic.workflow.fork_server"]
    assert done.stdout == f"True {tmp_path} ['an argument'] here\nFalse\n{ours}\n"
    assert done.stderr == "complaint\n"
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("body", "code"), [("sys.exit(3)", 3), ("1 / 0", 1), ("import os; os.kill(os.getpid(), 9)", -9)]
)
def test_it_ends_as_the_script_does(snakemake, tmp_path, body, code):
    done = run(script(tmp_path, body), snakemake[1])
    assert done.returncode == code
    assert ("ZeroDivisionError" in done.stderr) == (code == 1)


def test_a_cancelled_job_ends(snakemake, tmp_path):
    command = script(tmp_path, "import os, time; print(os.getpid(), flush=True); time.sleep(600)")
    environment = os.environ | ENVIRONMENT | {"POLYCHROMIC_FORK_SERVER": snakemake[1]}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as waiting:
        fork = int(waiting.stdout.readline())
        assert fork != waiting.pid
        waiting.send_signal(signal.SIGTERM)
    assert ended(fork)


def test_jobs_and_the_warm_process_end_with_snakemake(tmp_path):
    environment = os.environ | ENVIRONMENT
    starter = subprocess.Popen(
        [sys.executable, "-c", START], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    command = script(tmp_path, "import os, time; print(os.getpid(), os.getppid(), flush=True); time.sleep(600)")
    environment["POLYCHROMIC_FORK_SERVER"] = starter.stdout.readline().strip()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, stderr=subprocess.PIPE) as job:
        fork, warm = map(int, job.stdout.readline().split())
        starter.kill()
        starter.communicate()
        assert "run Snakemake again" in job.communicate()[1]
    assert job.returncode == 1
    assert ended(fork)
    assert ended(warm)


def test_without_a_warm_process_a_script_runs_by_itself(tmp_path):
    command = script(tmp_path, "print('torch' in sys.modules)")
    assert run(command, str(tmp_path / "nobody")).stdout == "False\n"


def test_a_warm_process_that_cannot_start_is_done_without(tmp_path):
    path = tmp_path / "jobs"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen()
        command = script(tmp_path, "print('torch' in sys.modules)")
        environment = os.environ | ENVIRONMENT | {"POLYCHROMIC_FORK_SERVER": str(path)}
        job = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        listener.accept()[0].close()
    assert job.communicate()[0] == "False\n"


def ended(pid: int) -> bool:
    for _ in range(100):
        status = Path(f"/proc/{pid}/stat")
        if not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return True
        time.sleep(0.1)
    return False
