"""What the server allows: sizes, times, addresses, the token."""

from __future__ import annotations

import ipaddress
import math
import os
import socket
from dataclasses import dataclass, fields
from pathlib import Path

TOKEN_VARIABLE = "AFFECTRT_SERVE_TOKEN"
MIN_TOKEN_CHARACTERS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of everything.

    Raises:
        TypeError: A setting is no number, or a count no int.
        ValueError: Naming every setting that is out of range.
    """

    body_bytes: int = 1 << 20
    """The longest body of a request."""
    messages: int = 512
    """In one chat request."""
    texts: int = 256
    """In one request for embeddings or affect."""
    running: int = 4
    """Answers that are generated at once; they share the model by the token."""
    waiting: int = 16
    """Requests that wait for their turn; the next one is told to come again."""
    patience_s: float = 30.0
    """How long one waits before it is told to come again."""
    connections: int = 128
    """Open at once."""
    header_s: float = 10.0
    """For a client to send the head of a request."""
    body_s: float = 30.0
    """For a client to send the body."""
    write_s: float = 20.0
    """For a client that does not read what it asked for; then its connection is broken off."""
    keep_alive_s: int = 30
    """How long an idle connection stays open."""
    kept: int = 8
    """Conversations whose evaluated tokens stay, in case a client goes on with them. 0: none."""
    kept_s: float = 600.0
    """For how long."""

    def __post_init__(self) -> None:
        wrong = []
        for field in fields(self):
            value = getattr(self, field.name)
            whole = field.type == "int"
            if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
                raise TypeError(f"{field.name} must be {'an int' if whole else 'a number'}, got {value!r}")
            least = 0 if field.name in ("waiting", "kept") else 1 if whole else 0.001
            if not (math.isfinite(value) and value >= least):
                wrong.append(f"{field.name} must be at least {least}, got {value}")
        if wrong:
            raise ValueError("; ".join(wrong))


def read_token(file: Path | None) -> str | None:
    """The token out of the file, or of the variable AFFECTRT_SERVE_TOKEN; None if neither has one.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is empty, or no text.
    """
    if file is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    try:
        token = file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise ValueError(f"{file}: expected a token as text in UTF-8") from None
    if not token:
        raise ValueError(f"{file}: expected a token, got an empty file")
    return token


def check_token(token: str | None) -> str | None:
    """A token that a header can carry and nobody guesses.

    Raises:
        TypeError, ValueError: It is none. The text does not tell what came.
    """
    if token is None:
        return None
    if not isinstance(token, str):
        raise TypeError(f"token must be a str, got {type(token).__name__}")
    if len(token) < MIN_TOKEN_CHARACTERS or not all("!" <= char <= "~" for char in token):
        raise ValueError(
            f"the token must have at least {MIN_TOKEN_CHARACTERS} characters, all of them visible ASCII "
            f"(`openssl rand -hex 32` makes one); this one has {len(token)}"
        )
    return token


def resolve(host: str, port: int, token: str | None) -> tuple[socket.AddressFamily, str]:
    """The address to listen on.

    Raises:
        TypeError, ValueError: `host` or `port` is none, or the address can be reached from other machines and there is no token.
        OSError: No address has this name.
    """
    if not isinstance(host, str):
        raise TypeError(f"host must be a str, got {type(host).__name__}")
    if not host:
        raise ValueError("host must be an address, got '' (127.0.0.1 for this machine only, 0.0.0.0 for every network)")
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"port must be an int, got {port!r}")
    if not 0 <= port <= 65535:
        raise ValueError(f"port must lie in [0, 65535], got {port}")
    if host == "localhost":
        host = "127.0.0.1"  # a name: what it leads to is another file's word
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    family, address = found[0][0], str(found[0][4][0])
    if token is None and not ipaddress.ip_address(address.partition("%")[0]).is_loopback:
        raise ValueError(
            f"host {host} can be reached from other machines, so a token is required: put one into a file and name it with --token-file, "
            f"or into the variable {TOKEN_VARIABLE}"
        )
    return family, address
