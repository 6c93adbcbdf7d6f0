"""A small RTSP server: footage as motion JPEG over RTP (RFC 2435), interleaved in the RTSP connection (RFC 2326)."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

from mjpeg import JPEGS

_PACKET = 1200


def _scan(jpeg: bytes) -> tuple[bytes, bytes]:
    """Return the quantization tables and the scan of a baseline JPEG."""
    tables, place = b"", 2
    while True:
        marker, length = struct.unpack(">HH", jpeg[place : place + 4])
        segment = jpeg[place + 4 : place + 2 + length]
        place += 2 + length
        if marker == 0xFFDB:
            while segment:
                tables += segment[1:65]
                segment = segment[65:]
        if marker == 0xFFDA:
            return tables, jpeg[place:-2]


class RtspCamera:
    """Serves `JPEGS` to one client after the other; it can go away and come back on the same port."""

    def __init__(self, fps: float = 50.0, size: tuple[int, int] = (48, 64)) -> None:
        self.fps, self._size = fps, size
        self._port = 0
        self._gone = Event()
        self._threads: list[Thread] = []

    @property
    def url(self) -> str:
        return f"rtsp://user:secret@127.0.0.1:{self._port}/belt"

    def start(self) -> None:
        self._gone.clear()
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self._port = self._listener.getsockname()[1]
        self._listener.settimeout(0.05)
        self._run(self._accept)

    def stop(self) -> None:
        self._gone.set()
        for thread in self._threads:
            thread.join(5)
        self._threads.clear()
        self._listener.close()

    def _run(self, work, *args) -> None:  # type: ignore[no-untyped-def]
        thread = Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._gone.is_set():
            with suppress(TimeoutError):
                self._run(self._serve, self._listener.accept()[0])

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            client.settimeout(2)
            received = b""
            while not self._gone.is_set():
                while b"\r\n\r\n" not in received:
                    if not (more := client.recv(4096)):
                        return
                    received += more
                request, _, received = received.partition(b"\r\n\r\n")
                method, number = request.split()[0].decode(), request.split(b"CSeq: ")[1].split()[0].decode()
                client.sendall(self._answer(method, number))
                if method == "PLAY":
                    self._play(client)
                    return

    def _answer(self, method: str, number: str) -> bytes:
        head, body = f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n", ""
        if method == "OPTIONS":
            head += "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        elif method == "DESCRIBE":
            body = (
                "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=belt\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
                f"m=video 0 RTP/AVP 26\r\na=framerate:{self.fps}\r\na=control:track1\r\n"
            )
            head += f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        elif method == "SETUP":
            head += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
        else:
            head += "Session: 1\r\n"
        return f"{head}\r\n{body}".encode()

    def _play(self, client: socket.socket) -> None:
        height, width = self._size
        sequence = 0
        for n in range(10**6):
            if self._gone.wait(1 / self.fps):
                return
            tables, scan = _scan(JPEGS[n % len(JPEGS)])
            for start in range(0, len(scan), _PACKET):
                part = scan[start : start + _PACKET]
                last = start + _PACKET >= len(scan)
                jpeg = struct.pack(">BBHBBBB", 0, start >> 16, start & 0xFFFF, 1, 255, width // 8, height // 8)
                if start == 0:
                    jpeg += struct.pack(">BBH", 0, 0, len(tables)) + tables
                rtp = struct.pack(">BBHII", 0x80, 26 | last << 7, sequence & 0xFFFF, round(n * 90000 / self.fps), 7)
                packet = rtp + jpeg + part
                client.sendall(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
                sequence += 1


@contextmanager
def rtsp_camera(fps: float = 50.0) -> Iterator[RtspCamera]:
    camera = RtspCamera(fps)
    camera.start()
    try:
        yield camera
    finally:
        camera.stop()
