"""A package index on the loopback, and the ways in which real ones misbehave."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WHEEL = "some_weights-1.0-py3-none-any.whl"


def wheel(content: dict[str, bytes]) -> bytes:
    """A wheel as far as a puller looks: a zip."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return out.getvalue()


class Index:
    """Serves one wheel of `some-weights`. Its fields may be changed at any time."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.filename = WHEEL
        self.sha256: str | None = hashlib.sha256(data).hexdigest()
        self.html = False
        self.ranges = True
        self.cut_after: int | None = None
        """Bytes after which each reply is cut off."""
        self.cuts_left = 1 << 30
        self.status = 200
        self.page_text: str | None = None
        self.secret: str | None = None
        self.pause_s = 0.0
        """Waited after each 64 KiB."""
        self.asked: list[tuple[str, str | None]] = []
        """Path and Range of each request."""
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/simple/"

    def starts(self) -> list[int]:
        """Where each download of the wheel began."""
        return [int(r[6:].split("-")[0]) if r else 0 for path, r in self.asked if path.endswith(".whl")]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def page(self) -> tuple[str, str]:
        if self.page_text is not None:
            return "application/vnd.pypi.simple.v1+json", self.page_text
        others = ["some_weights-0.9-py3-none-any.whl", "some_weights-1.0.tar.gz", "some_weights-1.0.1-py3-none-any.whl"]
        if self.html:
            end = f"#sha256={self.sha256}" if self.sha256 else ""
            links = "".join(f'<a href="../../files/{name}#sha256={"0" * 64}">{name}</a><br/>' for name in others)
            return "text/html", f'<!DOCTYPE html><html><body>{links}<a href="../../files/{self.filename}{end}">x</a></body></html>'
        files = [{"filename": name, "url": f"../../files/{name}", "hashes": {"sha256": "0" * 64}} for name in others]
        hashes = {"sha256": self.sha256} if self.sha256 else {}
        files.append({"filename": self.filename, "url": f"../../files/{self.filename}", "hashes": hashes})
        return "application/vnd.pypi.simple.v1+json", json.dumps({"meta": {"api-version": "1.1"}, "name": "some-weights", "files": files})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        index = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                index.asked.append((self.path, self.headers.get("Range")))
                if index.secret is not None and self.headers.get("Authorization") != index.secret:
                    return self.reply(401, b"")
                if self.path == "/simple/some-weights/":
                    kind, text = index.page()
                    return self.reply(200, text.encode(), kind)
                if self.path == f"/files/{index.filename}":
                    return self.send_wheel()
                return self.reply(404, b"")

            def reply(self, status: int, data: bytes, kind: str = "text/plain") -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def send_wheel(self) -> None:
                if index.status != 200:
                    return self.reply(index.status, b"")
                start, asked = 0, self.headers.get("Range")
                if asked and index.ranges:
                    start = int(asked.removeprefix("bytes=").split("-")[0])
                    if start >= len(index.data):
                        return self.reply(416, b"")
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {start}-{len(index.data) - 1}/{len(index.data)}")
                else:
                    self.send_response(200)
                self.send_header("Content-Length", str(len(index.data) - start))
                self.end_headers()
                end = len(index.data)
                if index.cut_after is not None and index.cuts_left > 0:
                    index.cuts_left -= 1
                    end = min(end, start + index.cut_after)
                try:
                    for at in range(start, end, 1 << 16):
                        self.wfile.write(index.data[at : min(end, at + (1 << 16))])
                        time.sleep(index.pause_s)
                except OSError:
                    pass
                if end < len(index.data):
                    self.close_connection = True
                return None

        return Handler
