"""Fork short jobs from a process that has torch and its companions loaded.

Importing them takes four to five seconds, a third of an embedded study's job. So one process next to Snakemake
imports them, once, and a script that begins with `import _fork` runs in a fork of it; the script's own process
waits, and ends as the fork does. Without such a process, as on a cluster, scripts import what they need.

Of the study nothing is loaded before the fork, only libraries. Snakemake's benchmark files know the waiting
process only; what a job used is at the end of its log.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import json
import logging
import os
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

SOCKET = "POLYCHROMIC_FORK_SERVER"
LIBRARIES = (
    "snakemake.script", "pydantic", "pandas", "pyarrow.parquet", "sacrebleu", "torch", "safetensors.torch",
    "transformers.models.auto.modeling_auto", "transformers.models.bert.modeling_bert",
    "transformers.models.qwen3.modeling_qwen3", "transformers.trainer", "datasets", "peft",
)  # fmt: skip
PR_SET_PDEATHSIG = 1


def start() -> None:
    """Start the process; it ends with this one. Linux only."""
    folder = tempfile.mkdtemp(prefix="polychromic-")  # only its owner may enter
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = f"{folder}/jobs"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen(64)
        command = [sys.executable, "-m", "polychromic.workflow.fork_server", str(listener.fileno())]
        subprocess.Popen(command, pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL)
    os.environ[SOCKET] = path


def hand_over() -> None:
    """Run this script in a fork and end as it does; return where there is nothing to fork from."""
    path = os.environ.pop(SOCKET, None)
    if path is None:
        return
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    request = {"argv": sys.argv, "folder": os.getcwd(), "environment": dict(os.environ)}
    try:
        channel.connect(path)
        socket.send_fds(channel, [json.dumps(request).encode()], [0, 1, 2])
        forked = channel.recv(64)
    except OSError:  # also on a cluster's machine, where there is no such path
        forked = b""
    if not forked:
        channel.close()
        return
    try:
        answer = channel.recv(64)
    except ConnectionResetError:
        answer = b""
    if not answer:
        print("the process that jobs are forked from has ended: run Snakemake again", file=sys.stderr)
        os._exit(1)
    code = os.waitstatus_to_exitcode(int(answer))
    if code < 0:
        os.kill(os.getpid(), -code)
    os._exit(code)


def serve(listener: socket.socket) -> dict:
    """Fork a process for each request until Snakemake ends. Returns the request, in the fork."""
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    jobs: dict[int, tuple[socket.socket, int]] = {}  # of a process: its client, and the descriptor that reports its end

    def forget(pid: int) -> None:
        client, ending = jobs.pop(pid)
        selector.unregister(client)
        selector.unregister(ending)
        client.close()
        os.close(ending)

    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                client, _ = listener.accept()
                files: list[int] = []
                with suppress(ConnectionError):
                    request, files, *_ = socket.recv_fds(client, 1 << 20, 3)
                if len(files) < 3:  # it went away
                    client.close()
                    continue
                sys.stdout.flush()
                pid = os.fork()
                if pid == 0:
                    selector.close()
                    listener.close()
                    for number, file in enumerate(files):
                        os.dup2(file, number)
                        os.close(file)
                    return json.loads(request)
                for file in files:
                    os.close(file)
                with suppress(ConnectionError):
                    client.send(b"forked")
                jobs[pid] = client, os.pidfd_open(pid)
                selector.register(client, selectors.EVENT_READ, (pid, "left"))
                selector.register(jobs[pid][1], selectors.EVENT_READ, (pid, "ended"))
            elif key.data[0] in jobs:
                pid, event = key.data
                if event == "left":  # the job was cancelled
                    os.kill(pid, signal.SIGKILL)
                _, status = os.waitpid(pid, 0)
                with suppress(ConnectionError):
                    jobs[pid][0].send(str(status).encode())
                forget(pid)


def end_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is Snakemake's and the jobs'
    listener = socket.socket(fileno=int(sys.argv[1]))
    gc.disable()
    # It advises to install a package that is of no use here.
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()
    gc.enable()
    request = serve(listener)
    end_with_parent()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = request["argv"]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
