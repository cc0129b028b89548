# SPDX-License-Identifier: MIT
"""A stream of any length in which every byte has its place, sent and verified."""

import socket
import threading
import time

from harness import Failure, pattern

MIB = 1 << 20
PERIOD = MIB - 3  # no multiple of any slice, so that a piece out of place shows
TWICE = pattern(PERIOD, 7) + pattern(PERIOD, 7)
STEP = 1 << 18


def send_stream(s, size):
    view, at = memoryview(TWICE), 0
    while at < size:
        begin = at % PERIOD
        piece = min(STEP, size - at)
        s.sendall(view[begin:begin + piece])
        at += piece
    s.shutdown(socket.SHUT_WR)


def verify_stream(s, pause=0.0):
    """Reads to the end: how many bytes came; all must be where they belong."""
    at = 0
    while data := s.recv(STEP):
        begin = at % PERIOD
        if data != TWICE[begin:begin + len(data)]:
            wrong = next(i for i, b in enumerate(data) if b != TWICE[begin + i])
            raise Failure(f"byte {at + wrong} is wrong")
        at += len(data)
        if pause:
            time.sleep(pause)
    return at


def both_ways(s, size):
    """Sends and verifies at once; the bytes that came."""
    s.settimeout(50)
    sender = threading.Thread(target=send_stream, args=(s, size), daemon=True)
    sender.start()
    got = verify_stream(s)
    sender.join(50)
    return got
