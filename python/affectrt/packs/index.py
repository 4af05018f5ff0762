"""Finds a wheel in the user's own package index, as pip would: the same settings, the same indexes and link folders.

The settings come from pip itself (`pip config list`, and the default its help names), with the PIP_* variables over them; so mirrors,
proxies and certificates that are set up for pip hold here too. Why pip does not fetch the wheel as well:
docs/decisions/pulling-from-the-index.md.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from urllib.request import url2pathname

from affectrt.errors import PackError
from affectrt.packs.web import Page, Web, with_secret_of, without_secrets

__all__ = ["PipSettings", "Wheel", "find_wheel", "pip_settings"]

_MAX_PAGE_BYTES = 64 << 20
_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


@dataclass(frozen=True)
class PipSettings:
    """Where to look for packages, and how to get there."""

    index_urls: tuple[str, ...]
    """In the order they are asked."""
    find_links: tuple[str, ...] = ()
    web: Web = field(default_factory=Web)


@dataclass(frozen=True)
class Wheel:
    """A wheel that an index offers."""

    filename: str
    url: str
    sha256: str | None


def pip_settings() -> PipSettings:
    """pip's settings for `pip download` in this environment. Raises PackError if neither pip nor PIP_INDEX_URL says where to look."""
    values: dict[str, str] = {}
    by_section: dict[str, dict[str, str]] = {}
    listing = _pip("config", "list")
    for line in (listing or "").splitlines():
        name, _, literal = line.partition("=")
        section, _, key = name.rpartition(".")
        try:
            value = ast.literal_eval(literal)
        except (ValueError, SyntaxError):
            continue
        by_section.setdefault(section, {})[key.replace("_", "-")] = str(value)
    for section in ("global", "download"):  # pip reads the section of the command over the general one
        values.update(by_section.get(section, {}))
    for name, value in os.environ.items():
        if name.startswith("PIP_") and value:
            values[name[4:].lower().replace("_", "-")] = value
    no_index = values.get("no-index", "").lower() in ("1", "true", "yes", "on")
    indexes: list[str] = []
    if not no_index:
        first = values.get("index-url") or _default_index()
        extra = values.get("extra-index-url", "").split()
        if first is None and not extra and not values.get("find-links"):
            raise PackError("pulling from the Python index needs to know the index: install pip, or set PIP_INDEX_URL")
        indexes = [*([first] if first else []), *extra]
    try:
        timeout_s = float(values.get("timeout") or values.get("default-timeout") or 15)
    except ValueError:
        timeout_s = 15.0
    web = Web(
        certificate_file=values.get("cert") or None,
        client_certificate_file=values.get("client-cert") or None,
        proxy=values.get("proxy") or None,
        trusted_hosts=tuple(values.get("trusted-host", "").split()),
        timeout_s=timeout_s,
    )
    return PipSettings(tuple(indexes), tuple(values.get("find-links", "").split()), web)


def _pip(*arguments: str) -> str | None:
    environment = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1", COLUMNS="200")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, timeout=60, env=environment, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _default_index() -> str | None:
    help_text = re.sub(r"\s+", " ", _pip("download", "--help") or "")
    match = re.search(r"--index-url <url>.*?\(default (\S+?)\)", help_text)
    return match[1] if match else None


def find_wheel(package: str, version: str, settings: PipSettings) -> Wheel:
    """The wheel of exactly that version; one for any platform before others. Raises PackError naming where it was looked for."""
    problems: list[str] = []
    for place in (*settings.index_urls, *settings.find_links):
        try:
            wheels = [wheel for wheel in _offers(place, package, settings) if _is(wheel.filename, package, version)]
        except PackError as error:
            problems.append(str(error))
            continue
        if wheels:
            return min(wheels, key=lambda wheel: (not wheel.filename.endswith("-none-any.whl"), wheel.filename))
        problems.append(f"{without_secrets(place)}: no wheel of {package} {version}")
    raise PackError(
        f"no wheel of {package}=={version} found; "
        + ("; ".join(problems) or "pip is told to use no index and no links")
        + " (the places come from pip's settings: see `pip config list`)"
    )


def _offers(place: str, package: str, settings: PipSettings) -> Iterator[Wheel]:
    project = re.sub(r"[-_.]+", "-", package).lower()
    is_link = place in settings.find_links
    folder = local_path(place)
    if folder is not None:
        if not is_link:
            folder = folder / project
        if (folder / "index.html").is_file():
            folder = folder / "index.html"
        if folder.is_dir():
            yield from (Wheel(path.name, path.absolute().as_uri(), None) for path in sorted(folder.glob("*.whl")))
        elif folder.suffix in (".html", ".htm") and folder.is_file():
            yield from _from_html(folder.read_text(encoding="utf-8", errors="replace"), folder.absolute().as_uri())
        return
    url = place if is_link else place.rstrip("/") + f"/{project}/"
    page = settings.web.page(url, accept=_ACCEPT, most_bytes=_MAX_PAGE_BYTES)
    if page is not None:
        for wheel in _from_page(page):
            if local_path(wheel.url) is not None:
                raise PackError(f"{without_secrets(url)}: {wheel.filename}: expected an address on the network, got {wheel.url}")
            yield replace(wheel, url=with_secret_of(wheel.url, url))


def _from_page(page: Page) -> Iterator[Wheel]:
    if "json" in page.content_type:
        try:
            files = json.loads(page.text)["files"]
            yield from (_from_json(entry, page.url) for entry in files)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PackError(f"{without_secrets(page.url)}: expected the JSON of a package index, got something else: {error!r}") from error
    else:
        yield from _from_html(page.text, page.url)


def _from_json(entry: Mapping[str, Any], base: str) -> Wheel:
    digest = entry.get("hashes", {}).get("sha256")
    return Wheel(str(entry["filename"]), urljoin(base, str(entry["url"])), str(digest).lower() if digest else None)


def _from_html(text: str, base: str) -> Iterator[Wheel]:
    for href in _Links(text).found:
        url, fragment = urldefrag(urljoin(base, href))
        match = re.search(r"(?:^|&)sha256=([0-9a-fA-F]{64})(?:&|$)", fragment)
        yield Wheel(unquote(urlsplit(url).path).rsplit("/", 1)[-1], url, match[1].lower() if match else None)


class _Links(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _is(filename: str, package: str, version: str) -> bool:
    """True for a wheel of that package and version. Compares as the specification of wheel names does, and versions as text."""
    parts = filename.removesuffix(".whl").split("-")
    if not filename.endswith(".whl") or len(parts) not in (5, 6):
        return False

    def plain(text: str) -> str:
        return re.sub(r"[-_.]+", "-", text).lower()

    return plain(parts[0]) == plain(package) and parts[1].lower().replace("_", "-") == version.lower().replace("_", "-")


def local_path(place: str) -> Path | None:
    """The path that a `file:` URL or a plain path means; None for anything on the network."""
    split = urlsplit(place)
    if split.scheme == "file":
        return Path(url2pathname(split.path))
    return None if split.scheme in ("http", "https") else Path(place).expanduser()
