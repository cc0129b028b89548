# SPDX-License-Identifier: MIT
"""WebSocket as in RFC 6455, both roles, from the text of the standard: handshake, frames with
masks, fragments, ping and pong, the closing handshake. Strict: what it forbids is a Failure.
"""

import base64
import hashlib
import os
import struct

from http_peers import Client, Failure, check, equal, head_of

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # section 1.3
TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 1, 2, 8, 9, 10, 0


def accept_of(key):
    """Section 4.2.2: what proves that the server has read the key."""
    return base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()


def masked(data, mask):
    """Section 5.3: exclusive or with the mask, again and again."""
    size = len(data)
    whole = int.from_bytes(mask * (size // 4 + 1), "big") >> (8 * (4 - size % 4))
    return (int.from_bytes(data, "big") ^ whole).to_bytes(size, "big")


def frame(opcode, data=b"", mask=None, last=True):
    """Section 5.2."""
    size = len(data)
    flag = 0x80 if mask else 0
    out = bytes([(0x80 if last else 0) | opcode])
    if size < 126:
        out += bytes([flag | size])
    elif size < 1 << 16:
        out += bytes([flag | 126]) + struct.pack(">H", size)
    else:
        out += bytes([flag | 127]) + struct.pack(">Q", size)
    return out + (mask + masked(data, mask) if mask else data)


def read_frame(stream, from_client):
    """(opcode, payload, whether it is the last of its message)."""
    first, second = stream.exactly(2)
    check(not first & 0x70, "a reserved bit is set")
    opcode, size = first & 15, second & 127
    equal(bool(second & 128), from_client, "whether a frame is masked")
    if size == 126:
        size = struct.unpack(">H", stream.exactly(2))[0]
        check(size >= 126, "a length that is not the shortest")
    elif size == 127:
        size = struct.unpack(">Q", stream.exactly(8))[0]
        check(size >= 1 << 16, "a length that is not the shortest")
    if opcode >= 8:
        check(size <= 125 and first & 128, "a control frame that is long or in pieces")
    mask = stream.exactly(4) if from_client else None
    data = stream.exactly(size)
    return opcode, masked(data, mask) if mask else data, bool(first & 128)


def serve_echo(req, link, greeting=b""):
    """The script of an origin: shakes hands, echoes messages and fragments, answers ping and close.

    A text of "ping me" makes it send a ping of its own, "reset" ends it with a reset; .events of
    the link has what it saw.
    """
    link.events = []
    key = req.get("sec-websocket-key")
    version = req.get("sec-websocket-version")
    if req.method != "GET" or "upgrade" not in req.options() or version != "13" or not key \
            or (req.get("upgrade") or "").lower() != "websocket" \
            or len(base64.b64decode(key)) != 16:
        link.send(head_of("HTTP/1.1 400 Bad Request", "Content-Length: 0"))
        return
    link.send(head_of("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket",
                      "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept_of(key)}") + greeting)
    while True:
        opcode, data, last = read_frame(link.stream, from_client=True)
        link.events.append((opcode, len(data)))
        if opcode == CLOSE:
            link.send(frame(CLOSE, data))
            link.close()
            return
        if opcode == PING:
            link.send(frame(PONG, data))
        elif opcode == TEXT and data == b"ping me":
            link.send(frame(PING, b"are you there?"))
        elif opcode == TEXT and data == b"reset":
            link.reset()
        elif opcode in (TEXT, BINARY, CONTINUATION):
            link.send(frame(opcode, data, last=last))
        elif opcode != PONG:
            raise Failure(f"opcode {opcode}")


class WebSocket:
    """A client that has shaken hands."""

    def __init__(self, where, target="/ws", **options):
        self.client = Client(where, **options)
        key = base64.b64encode(os.urandom(16)).decode()
        answer = self.client.ask("GET", target, "Upgrade: websocket", "Connection: Upgrade",
                                 f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13")
        equal((answer.status, (answer.get("upgrade") or "").lower()), (101, "websocket"), "answer")
        check("upgrade" in answer.options(), f"Connection: {answer.options()}")
        equal(answer.get("sec-websocket-accept"), accept_of(key), "Sec-WebSocket-Accept")

    def send(self, opcode, data=b"", last=True):
        self.client.send(frame(opcode, data, os.urandom(4), last))
        return self

    def read(self):
        return read_frame(self.client.stream, from_client=False)

    def expect(self, opcode, data, last=True):
        got = self.read()
        if got != (opcode, data, last):
            raise Failure(f"a frame {got[0]} of {len(got[1])} bytes, last {got[2]}; wanted "
                          f"{opcode} of {len(data)}, last {last}")

    def echo(self, data, opcode=BINARY):
        self.send(opcode, data).expect(opcode, data)

    def close(self, code=1000, why=b""):
        """The closing handshake, section 7: the server ends the connection."""
        data = struct.pack(">H", code) + why
        self.send(CLOSE, data).expect(CLOSE, data)
        equal(self.client.ends(), (b"", "eof"), "the end after the closing handshake")
        self.client.close()
