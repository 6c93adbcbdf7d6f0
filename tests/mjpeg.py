"""A camera of the tests' own: it sends footage as JPEGs over HTTP, and can hang, break off, tear frames and go away."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from footage import footage
from PIL import Image


def _jpeg(image: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


JPEGS = [_jpeg(image) for image in footage(200)]


class MjpegCamera:
    """Serves `JPEGS` again and again, from the first one for each connection.

    fps: frames per second. length: frames of a connection before it breaks off. Its events tell it what to do.
    """

    def __init__(self, fps: float = 50.0, length: int | None = None) -> None:
        self.fps, self.length = fps, length
        self.hangs, self.tears, self.gone = Event(), Event(), Event()
        self.sent = 0
        self._port = 0
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://user:secret@127.0.0.1:{self._port}/belt.mjpg?token=hidden"

    def start(self) -> None:
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera._serve(self)

            def log_message(self, *_: object) -> None:
                pass

        self.gone.clear()
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_port
        Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()

    def stop(self) -> None:
        """Go away: close the connections and refuse new ones."""
        self.gone.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        request.end_headers()
        sent = 0
        try:
            while not self.gone.wait(1 / self.fps) and (self.length is None or sent < self.length):
                if self.hangs.is_set():
                    continue
                data = JPEGS[sent % len(JPEGS)]
                if self.tears.is_set() and sent % 3 == 1:
                    data = data[: len(data) // 3]
                head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data)
                request.wfile.write(head + data + b"\r\n")
                sent += 1
                self.sent += 1
        except OSError:
            pass


@contextmanager
def mjpeg_camera(fps: float = 50.0, length: int | None = None) -> Iterator[MjpegCamera]:
    camera = MjpegCamera(fps, length)
    camera.start()
    try:
        yield camera
    finally:
        camera.stop()
