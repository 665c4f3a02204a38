"""The system call filter, interpreted for every number, against the kernel's headers."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

import pytest

from polychromic.verifiers.sandbox import seccomp

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")


def decide(code: bytes, architecture: int, number: int, first: int = 0, second: int = 0) -> int:
    """What the kernel would answer: the four instructions that the filter uses, interpreted."""
    data = {0: number, 4: architecture, 16: first, 24: second}
    at = held = 0
    while True:
        operation, true, false, constant = struct.unpack_from("=HBBI", code, 8 * at)
        at += 1
        if operation == 0x06:
            return constant
        if operation == 0x20:
            held = data[constant]
        else:
            at += true if (held == constant if operation == 0x15 else held >= constant) else false


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_filter_decides_every_number(machine):
    column, architecture = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}[machine]
    code = seccomp.assemble(machine)
    allowed = {numbers[column] for numbers in seccomp.ALLOWED.values()}
    deadly = {numbers[column] for numbers in seccomp.DEADLY.values()}
    partial = {seccomp.FCNTL[column], seccomp.PRLIMIT[column], seccomp.IOCTL[column]}
    for number in set(range(600)) - partial:
        action = decide(code, architecture, number)
        assert action == (0x7FFF0000 if number in allowed else 0x80000000 if number in deadly else 0x00050001), number
    assert decide(code, 0x40000003, 1) == 0x80000000  # another architecture's call
    assert decide(code, architecture, 0x40000001) == 0x80000000
    assert decide(code, architecture, seccomp.FCNTL[column], second=8) == 0x00050001
    assert decide(code, architecture, seccomp.FCNTL[column], second=1) == 0x7FFF0000
    assert decide(code, architecture, seccomp.PRLIMIT[column], first=1) == 0x80000000


@pytest.mark.parametrize(
    ("column", "header"),
    [(0, "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), (1, "/usr/include/asm-generic/unistd.h")],
)
def test_numbers_agree_with_the_kernels_headers(column, header):
    if not os.path.exists(header):
        pytest.skip("no kernel headers here")
    words = [line.split() for line in Path(header).read_text().splitlines() if line.startswith("#define __NR")]
    known = {
        word[1].removeprefix("__NR3264_").removeprefix("__NR_"): int(word[2]) for word in words if word[2].isdecimal()
    }
    if column == 1:
        known["newfstatat"] = known["fstatat"]
    tables = {
        **seccomp.ALLOWED,
        **seccomp.DEADLY,
        "fcntl": seccomp.FCNTL,
        "prlimit64": seccomp.PRLIMIT,
        "ioctl": seccomp.IOCTL,
    }
    assert {name: numbers[column] for name, numbers in tables.items()} == {name: known.get(name) for name in tables}
