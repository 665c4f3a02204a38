"""One worker of the sandbox: a test runner and its fork server, started together and dying together.

`python -c "...worker.main(fd, method)"` with an empty environment; jobs arrive as JSON over the socket `fd`,
one at a time.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import socket
import struct
import sys
import tempfile

from polychromic.verifiers.sandbox import forkserver, landlock, test_runner
from polychromic.verifiers.sandbox.messages import HEADER, frame

_NOBODY = 65534
_REFEREE_MEMORY = 2 << 30  # bytes; tests of a huge answer must not take the machine


def main(descriptor: int, method: str) -> None:
    """Serve jobs until the supervisor goes away. `method`: "landlock", "bubblewrap" or "unsafe"."""
    jobs = socket.socket(fileno=descriptor)
    if method != "bubblewrap":  # which has done so, in a user namespace without other users
        drop_privileges()
    scratch = tempfile.mkdtemp(prefix="polychromic-")
    above = os.path.dirname(scratch)
    rules = None
    if method == "landlock":
        # What the interpreter needs to import the standard library, and no more.
        readable = [
            os.path.dirname(os.__file__),
            *{"/usr/lib", "/usr/lib64", "/lib", "/lib64", sys.base_prefix + "/lib"},
        ]
        rules = landlock.ruleset([*readable, "/usr/share/zoneinfo"], [scratch, os.devnull])
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        ours.close()
        forkserver.main(theirs, jobs, rules, method != "unsafe", scratch)
        os.chdir(above)
        shutil.rmtree(scratch, ignore_errors=True)
        os._exit(0)
    theirs.close()
    if rules is not None:
        landlock.restrict(rules)  # tests are other people's code too: no writes, no network
        os.close(rules)
    resource.setrlimit(resource.RLIMIT_AS, (_REFEREE_MEMORY, _REFEREE_MEMORY))
    jobs.sendall(frame(b"{}"))
    while (job := _receive(jobs)) is not None:
        jobs.sendall(frame(json.dumps(test_runner.judge(ours, job, scratch)).encode()))
    os._exit(0)


def _receive(jobs: socket.socket) -> dict | None:
    header = jobs.recv(HEADER.size, socket.MSG_WAITALL)
    if len(header) < HEADER.size:
        return None
    data = bytearray()
    while len(data) < HEADER.unpack(header)[0]:
        part = jobs.recv(1 << 20)
        if not part:
            return None
        data += part
    return json.loads(data)


def drop_privileges() -> None:
    """Where the study runs as root: become nobody, or, if nobody cannot read this interpreter, an ordinary
    user 0.

    An ordinary user 0 has no capability left, so root is confined as any user is, by Landlock and seccomp.
    """
    if os.geteuid() != 0:
        return
    os.seteuid(_NOBODY)
    readable = os.access(os.__file__, os.R_OK, effective_ids=True)
    os.seteuid(0)
    os.setgroups([])
    if readable:
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        return
    header = struct.pack("=Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    if ctypes.CDLL(None, use_errno=True).capset(header, bytes(24)) != 0:
        raise OSError(ctypes.get_errno(), "capset")
