"""HTTP with the standard library: one page, or a range of a file. The only module here that opens a socket, and only `pull` calls it."""

from __future__ import annotations

import base64
import contextlib
import http.client
import netrc
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit, urlunsplit

from affectrt.errors import PackError

__all__ = ["Page", "Reply", "Web", "without_secrets"]

_AGENT = "affectrt-packs"
# What the network raises, from the name that does not resolve to the reply that is cut short.
NETWORK_ERRORS = (OSError, http.client.HTTPException)


@dataclass(frozen=True)
class Page:
    """A page that was read whole."""

    url: str
    """After redirects."""
    content_type: str
    text: str


@dataclass(frozen=True)
class Reply:
    """A file that begins to arrive."""

    body: http.client.HTTPResponse
    start: int
    """Where in the file the body begins: what was asked for, or 0 if the server does not send parts."""
    total: int | None
    """Size of the whole file in bytes, if the server says."""


@dataclass(frozen=True)
class Web:
    """How to reach servers: pip's settings of the same names."""

    certificate_file: str | None = None
    client_certificate_file: str | None = None
    proxy: str | None = None
    trusted_hosts: tuple[str, ...] = ()
    timeout_s: float = 15.0

    def page(self, url: str, *, accept: str, most_bytes: int) -> Page | None:
        """The page at `url`, or None if there is none. Raises PackError if the server cannot be reached or says something else."""
        try:
            with self._open(url, {"Accept": accept}) as body:
                data = body.read(most_bytes + 1)
                if len(data) > most_bytes:
                    raise PackError(f"{without_secrets(url)}: expected a page of at most {most_bytes} bytes, got more")
                return Page(body.geturl(), body.headers.get("Content-Type", ""), data.decode("utf-8", "replace"))
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 404:
                return None
            raise PackError(f"{without_secrets(url)}: expected a page, got HTTP {error.code} {error.reason}") from error
        except NETWORK_ERRORS as error:
            raise PackError(unreachable(url, error)) from error

    @contextlib.contextmanager
    def file(self, url: str, *, start: int) -> Iterator[Reply]:
        """The file at `url` from byte `start` on. Raises urllib's errors as they come, so that the caller can try again."""
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        with self._open(url, headers) as body:
            length = body.headers.get("Content-Length")
            size = int(length) if length is not None and length.isdigit() else None
            if body.status != 206:
                yield Reply(body, 0, size)
                return
            # "bytes 100-199/200"; the total may be "*"
            first, _, total = body.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
            if first.partition("-")[0] != str(start):
                raise http.client.HTTPException(f"asked for bytes from {start}, got the range {first!r}")
            yield Reply(body, start, int(total) if total.isdigit() else None if size is None else start + size)

    def _open(self, url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        plain, secret = _split_secret(url)
        request = urllib.request.Request(plain, headers={"User-Agent": _AGENT, **headers})
        if secret:
            request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(secret.encode()).decode())
        handlers: list[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=self._tls(plain))]
        if self.proxy:
            handlers.append(urllib.request.ProxyHandler({"http": self.proxy, "https": self.proxy}))
        opener = urllib.request.build_opener(*handlers)
        reply: http.client.HTTPResponse = opener.open(request, timeout=self.timeout_s)
        return reply

    def _tls(self, url: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.certificate_file)
        if self.client_certificate_file:
            context.load_cert_chain(self.client_certificate_file)
        split = urlsplit(url)
        if split.hostname in self.trusted_hosts or split.netloc in self.trusted_hosts:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def unreachable(url: str, error: BaseException) -> str:
    """The text for a server that does not answer."""
    reason = getattr(error, "reason", None) or error
    host = urlsplit(url).hostname or without_secrets(url)
    return f"cannot reach {host} ({reason}); is there a network? The address comes from pip's settings: see `pip config list`"


def without_secrets(url: str) -> str:
    """The address without user name and password, for messages."""
    split = urlsplit(url)
    return urlunsplit(split._replace(netloc=split.netloc.rpartition("@")[2])) if "@" in split.netloc else url


def with_secret_of(url: str, base: str) -> str:
    """`url` with the user name and password of `base`, if it is on the same server and has none of its own."""
    secret, at, host = urlsplit(base).netloc.rpartition("@")
    split = urlsplit(url)
    return urlunsplit(split._replace(netloc=f"{secret}@{host}")) if at and split.netloc == host else url


def _split_secret(url: str) -> tuple[str, str | None]:
    split = urlsplit(url)
    if "@" in split.netloc:
        return without_secrets(url), unquote(split.netloc.rpartition("@")[0])
    with contextlib.suppress(OSError, netrc.NetrcParseError):
        entry = netrc.netrc().authenticators(split.hostname or "")
        if entry:
            return url, f"{entry[0]}:{entry[2] or ''}"
    return url, None
