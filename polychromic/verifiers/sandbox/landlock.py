"""Landlock through ctypes: which files a process may still touch, decided by itself and never undone.

See landlock(7) and Documentation/userspace-api/landlock.rst. The system call numbers are the same on every
architecture.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PR_SET_NO_NEW_PRIVS = 38

_WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_FILE, _MAKE_REG, _TRUNCATE = (1 << bit for bit in (1, 2, 3, 5, 8, 14))
_READ = _READ_FILE | _READ_DIR
_READ_WRITE = _READ | _WRITE_FILE | _REMOVE_FILE | _MAKE_REG | _TRUNCATE  # no folders: a scratch folder stays flat

# Rights known to each version of the interface: everything known is taken away, then some of it given back.
_FILE_RIGHTS = {
    1: (1 << 13) - 1,
    2: (1 << 14) - 1,
    3: (1 << 15) - 1,
    4: (1 << 15) - 1,
    5: (1 << 16) - 1,
    6: (1 << 16) - 1,
}
_LIBRARY = os.path.dirname(os.__file__)  # the standard library's folder

_TCP_BIND_CONNECT = 3  # from version 4
_SCOPE_UNIX_SIGNAL = 3  # from version 6: no abstract sockets, no signals to processes outside

_libc = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def _call(*arguments: object) -> int:
    result = _libc.syscall(*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"landlock: {os.strerror(number)}")
    return result


def version() -> int:
    """The kernel's Landlock version, 0 where there is none."""
    try:
        return _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    except OSError:
        return 0


def ruleset(readable: Iterable[str], writable: Iterable[str], listable: Iterable[str] = ()) -> int:
    """A ruleset's file descriptor: reading beneath `readable`, also flat writing beneath `writable`, listing
    folders beneath `listable`, no TCP, nothing else.

    Paths that do not exist are skipped.

    Raises:
        OSError: the kernel refuses.
    """
    abi = min(version(), 6)
    files = _FILE_RIGHTS.get(abi, 0)
    attributes = _Ruleset(files, _TCP_BIND_CONNECT if abi >= 4 else 0, _SCOPE_UNIX_SIGNAL if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    rules = _call(_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(size), ctypes.c_uint32(0))
    for paths, rights in ((readable, _READ), (writable, _READ_WRITE), (listable, _READ_DIR)):
        for path in paths:
            if not os.path.exists(path):
                continue
            parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
            allowed = rights & files if os.path.isdir(path) else rights & files & (_READ_FILE | _WRITE_FILE | _TRUNCATE)
            _call(_ADD_RULE, rules, 1, ctypes.byref(_PathBeneath(allowed, parent)), ctypes.c_uint32(0))
            os.close(parent)
    return rules


def restrict(rules: int) -> None:
    """Put this process, and all that it starts, under the ruleset.

    Raises:
        OSError: the kernel refuses.
    """
    forgo_privileges()
    _call(_RESTRICT_SELF, rules, ctypes.c_uint32(0))


def forgo_privileges() -> None:
    """No program that this process may start gains rights by its owner (no_new_privs)."""
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl: no_new_privs")


def for_python(*writable: str) -> int:
    """The ruleset of a process that imports the standard library, without installed packages, and writes to these
    folders and to /dev/null.
    """
    found = {os.path.join(_LIBRARY, name) for name in os.listdir(_LIBRARY) if not name.endswith("-packages")}
    for root in {"/usr/lib", "/usr/lib64", "/lib", "/lib64", os.path.join(sys.base_prefix, "lib")}:
        names = os.listdir(root) if os.path.isdir(root) else ()
        # Files, and the folder of the machine's architecture (x86_64-linux-gnu).
        found |= {os.path.join(root, name) for name in names if ".so" in name or "linux" in name}
    return ruleset({*map(os.path.realpath, found), "/usr/share/zoneinfo"}, (*writable, os.devnull), (_LIBRARY,))
