"""Seccomp through ctypes: the system calls that a candidate may make, as a hand-assembled BPF filter.

Three lists. What plain Python needs is allowed. What only an attack needs (a new process, a socket, a
signal to another process, reading another's memory) ends the process on the spot with SIGSYS, which the
supervisor reports as "forbidden". Everything else fails with EPERM, as an ordinary PermissionError. Numbers
for x86-64 and aarch64; see seccomp(2).
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

from polychromic.verifiers.sandbox.landlock import forgo_privileges

# name: (x86-64, aarch64); None where the architecture has no such call.
ALLOWED: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67),
    "pwrite64": (18, 68), "close": (3, 57), "close_range": (436, 436), "lseek": (8, 62), "dup": (32, 23),
    "dup2": (33, None), "dup3": (292, 24), "pipe": (22, None), "pipe2": (293, 59), "poll": (7, None),
    "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72), "open": (2, None), "openat": (257, 56),
    "stat": (4, None), "lstat": (6, None), "fstat": (5, 80), "newfstatat": (262, 79), "statx": (332, 291),
    "access": (21, None), "faccessat": (269, 48), "faccessat2": (439, 439), "getdents64": (217, 61),
    "readlink": (89, None), "readlinkat": (267, 78), "getcwd": (79, 17), "chdir": (80, 49),
    "fchdir": (81, 50), "unlink": (87, None), "unlinkat": (263, 35), "rename": (82, None),
    "renameat": (264, 38), "renameat2": (316, 276), "ftruncate": (77, 46), "fsync": (74, 82),
    "fdatasync": (75, 83), "flock": (73, 32), "fadvise64": (221, 223), "umask": (95, 166), "mmap": (9, 222),
    "mprotect": (10, 226), "munmap": (11, 215), "mremap": (25, 216), "brk": (12, 214), "madvise": (28, 233),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132), "restart_syscall": (219, 128), "futex": (202, 98),
    "set_robust_list": (273, 99), "set_tid_address": (218, 96), "rseq": (334, 293),
    "membarrier": (324, 283), "arch_prctl": (158, None), "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123), "getcpu": (309, 168), "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115), "clock_gettime": (228, 113), "clock_getres": (229, 114),
    "gettimeofday": (96, 169), "time": (201, None), "times": (100, 153), "alarm": (37, None),
    "setitimer": (38, 103), "getitimer": (36, 102), "getpid": (39, 172), "getppid": (110, 173),
    "gettid": (186, 178), "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176),
    "getegid": (108, 177), "getgroups": (115, 158), "getresuid": (118, 148), "getresgid": (120, 150),
    "getrlimit": (97, 163), "getrusage": (98, 165), "uname": (63, 160), "sysinfo": (99, 179),
    "getrandom": (318, 278), "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip

DEADLY: dict[str, tuple[int | None, int | None]] = {
    "fork": (57, None), "vfork": (58, None), "clone": (56, 220), "clone3": (435, 435), "execve": (59, 221),
    "execveat": (322, 281), "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "socket": (41, 198), "socketpair": (53, 199), "bind": (49, 200), "connect": (42, 203),
    "sendto": (44, 206), "sendmsg": (46, 211), "recvmsg": (47, 212), "io_uring_setup": (425, 425),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "mount": (165, 40),
    "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "init_module": (175, 105), "finit_module": (313, 273), "kexec_load": (246, 104), "reboot": (169, 142),
    "memfd_create": (319, 279), "shmget": (29, 194), "mq_open": (240, 180),
}  # fmt: skip

# Allowed in part. fcntl could otherwise aim signals at others (F_SETOWN); prlimit64 could choke the parent.
FCNTL, PRLIMIT, IOCTL = (72, 25), (302, 261), (16, 29)
_FCNTL_COMMANDS = (0, 1, 2, 3, 4, 1030)  # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC

# machine: (column above, audit architecture of <linux/audit.h>)
_libc = ctypes.CDLL(None, use_errno=True)
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

# BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_JMP|JGE|K, BPF_RET|K
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = (
    0,
    4,
    16,
    24,
)  # offsets in struct seccomp_data; low words of arguments
_ALLOW, _KILL, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000  # SECCOMP_RET_ALLOW, _KILL_PROCESS, _ERRNO
_X32 = 0x40000000  # x86-64's numbers from here on are a second door to the same calls

_Code = tuple[tuple[int, int, int, int], ...]  # instructions: code, jump if true, jump if false, constant


def supported() -> bool:
    """Whether this machine's architecture has a filter here."""
    return platform.machine() in _MACHINES


def assemble(machine: str) -> bytes:
    """The filter as an array of `struct sock_filter` for "x86_64" or "aarch64"."""
    column, architecture = _MACHINES[machine]
    other: _Code = ((_RETURN, 0, 0, _FAIL | errno.EPERM),)
    decisions: dict[int, _Code] = {_X32: ((_RETURN, 0, 0, _KILL),), **_decide_in_part(column)}
    for table, action in ((ALLOWED, _ALLOW), (DEADLY, _KILL)):
        decisions |= {
            numbers[column]: ((_RETURN, 0, 0, action),) for numbers in table.values() if numbers[column] is not None
        }
    # Ranges of numbers with one decision, for a binary search: the kernel runs the whole filter for every possible
    # number whenever a candidate installs it.
    starts: list[tuple[int, _Code]] = [(0, decisions.get(0, other))]
    for number in range(1, max(set(decisions) - {_X32}) + 2):
        if (decision := decisions.get(number, other)) != starts[-1][1]:
            starts.append((number, decision))
    starts.append((_X32, decisions[_X32]))
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in (*program, *_search(starts)))


def _search(starts: list[tuple[int, _Code]]) -> _Code:
    """Binary search for the last of `starts` that is not above the number."""
    if len(starts) == 1:
        return starts[0][1]
    middle = len(starts) // 2
    below, above = _search(starts[:middle]), _search(starts[middle:])
    return ((_AT_LEAST, len(below), 0, starts[middle][0]), *below, *above)


def _decide_in_part(column: int) -> dict[int, _Code]:
    """The calls that are allowed by their arguments."""
    commands = tuple((_EQUAL, len(_FCNTL_COMMANDS) - at, 0, command) for at, command in enumerate(_FCNTL_COMMANDS))
    allow, kill, fail = ((_RETURN, 0, 0, action) for action in (_ALLOW, _KILL, _FAIL | errno.EPERM))
    return {
        FCNTL[column]: ((_LOAD, 0, 0, _SECOND), *commands, fail, allow),
        PRLIMIT[column]: ((_LOAD, 0, 0, _FIRST), (_EQUAL, 0, 1, 0), allow, kill),  # process 0 is the caller
        IOCTL[column]: ((_RETURN, 0, 0, _FAIL | errno.ENOTTY),),  # "not a terminal", as open() asks
    }


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def prepare() -> tuple[_Program, ctypes.Array]:
    """The filter of this machine in the kernel's form, and the buffer that must outlive it."""
    code = assemble(platform.machine())
    buffer = ctypes.create_string_buffer(code, len(code))
    return _Program(len(code) // 8, ctypes.addressof(buffer)), buffer


def restrict(program: _Program) -> None:
    """Put this thread under the filter, for good.

    Raises:
        OSError: the kernel refuses.
    """
    forgo_privileges()
    if _libc.prctl(22, 2, ctypes.byref(program), 0, 0) != 0:  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
        raise OSError(ctypes.get_errno(), "prctl: seccomp filter refused")
