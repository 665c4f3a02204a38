"""Length-prefixed messages over a stream, and the limits on what a stranger may send."""

from __future__ import annotations

import struct

HEADER = struct.Struct("!I")
MAX_MESSAGE = 4 << 20  # bytes of one message or of all that a candidate prints
DESCRIPTORS = 256  # file descriptors that a process of the sandbox may hold, at most


def frame(payload: bytes) -> bytes:
    """The payload behind its length."""
    return HEADER.pack(len(payload)) + payload
