"""One public file to the disk: streamed, resumed after a cut, checked, and under its name only when it is whole."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from rmtl_bench.contracts.errors import DataError
from rmtl_bench.contracts.source import Download
from rmtl_bench.contracts.version import __version__

ATTEMPTS = 5
PAUSE_SECONDS = 1.0
"""Before the second attempt; twice as long before each further one."""

_TIMEOUT_SECONDS = 60.0
_CHUNK = 1 << 20


class FetchListener(Protocol):
    """Is told how a fetch goes on."""

    def started(self, name: str, size: int, done: int) -> None:
        """A transfer begins, of which ``done`` bytes are there already; ``size`` is 0 if unknown."""

    def advanced(self, count: int) -> None:
        """So many bytes more are there."""

    def say(self, text: str) -> None:
        """Something that a user must know."""


def download(item: Download, folder: Path, listener: FetchListener) -> str:
    """Bring a file into ``folder`` and return its SHA-256; what is there already, and right, is not brought again.

    What came before a cut stays as ``<name>.part`` and is continued where the server can and the file is the same.
    Raises :class:`DataError` naming the address for a server that refuses, a wrong size or a wrong checksum, of which
    nothing is kept.
    """
    path, part = folder / item.name, folder / f"{item.name}.part"
    if path.exists():
        digest = _checked(item, path)
        if digest:
            return digest
        listener.say(f"{path} is not the file of {item.url}: it is brought again")
    for attempt in range(ATTEMPTS):
        if attempt:
            listener.say(f"{item.name}: not whole yet, attempt {attempt + 1} of {ATTEMPTS}")
            time.sleep(PAUSE_SECONDS * 2 ** (attempt - 1))
        try:
            _transfer(item, part, listener)
            break
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
            _give_up_if_refused(item, error, last=attempt + 1 == ATTEMPTS)
    digest = _checked(item, part, strict=True)
    if not item.checksum:
        listener.say(f"{item.name}: no checksum is published; what came has sha256 {digest}")
    part.replace(path)
    _memory(part).unlink(missing_ok=True)
    return digest


def _give_up_if_refused(item: Download, error: Exception, *, last: bool) -> None:
    """Raise :class:`DataError` for what another attempt cannot mend, or if there is none left."""
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        if error.code < 500 and error.code not in (408, 416, 429):
            raise DataError(f"{item.url}: the server answers {error.code} {error.reason}") from error
        reason = f"{error.code} {error.reason}"
    else:
        reason = str(getattr(error, "reason", "") or error or type(error).__name__)
    if last:
        raise DataError(
            f"{item.url}: cannot be downloaded: {reason}; what came is kept, type the same again to go on"
        ) from error


def _transfer(item: Download, part: Path, listener: FetchListener) -> None:
    request = urllib.request.Request(item.url, headers={"User-Agent": f"rmtl-bench/{__version__}"})  # noqa: S310
    remembered = _remembered(part, item)
    done = part.stat().st_size if remembered else 0
    if done:
        request.add_header("Range", f"bytes={done}-")
        request.add_header("If-Range", remembered)
    opener = urllib.request.build_opener(_SafeRedirects)
    try:
        response = opener.open(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            if done and error.headers.get("Content-Range") == f"bytes */{done}":
                # Nothing is left to send: the last command was stopped between the last byte and the check.
                error.close()
                return
            part.unlink(missing_ok=True)
        raise
    with response:
        if response.status != 206:
            done, remembered = 0, ""
        elif not _continues(response.headers, done, remembered):
            part.unlink(missing_ok=True)
            raise ConnectionError("the server sends another part than the one asked for")
        # Without a validator nobody could say later whether the rest belongs to this beginning.
        validator = remembered or response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        length = response.headers.get("Content-Length", "")
        # Before the first byte: a page to log in at, or another file, need not come whole to be refused.
        if length.isdecimal() and item.size and done + int(length) != item.size:
            _forget(part)
            raise DataError(f"{item.url}: the server announces {done + int(length)} bytes instead of {item.size}")
        expected = done + int(length) if length.isdecimal() else item.size
        if not done:
            # Killed in between, old bytes beside the validator of a new file would be taken for its beginning.
            part.unlink(missing_ok=True)
        _memory(part).write_text(json.dumps({"url": item.url, "validator": validator}), encoding="utf-8")
        listener.started(item.name, expected, done)
        with part.open("ab" if done else "wb") as file:
            while chunk := _read(response):
                file.write(chunk)
                listener.advanced(len(chunk))
                done += len(chunk)
    if expected and done < expected:
        raise ConnectionError(f"the connection ended after {done} of {expected} bytes")


def _continues(headers: Mapping[str, str], done: int, remembered: str) -> bool:
    """Return whether a partial answer is the rest of what came before: some servers ignore ``If-Range``."""
    same = (headers.get("ETag") or headers.get("Last-Modified") or remembered) == remembered
    return same and headers.get("Content-Range", "").startswith(f"bytes {done}-")


def _read(response: http.client.HTTPResponse) -> bytes:
    """Return what comes next. A network in trouble is a cut, not to be taken for a disk in trouble."""
    try:
        return response.read(_CHUNK)
    except OSError as error:
        raise ConnectionError(str(error)) from error


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _memory(part).unlink(missing_ok=True)


def _memory(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _remembered(part: Path, item: Download) -> str:
    """Return the validator of a part that can be continued; empty: there is none."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        memory: dict[str, Any] = json.loads(_memory(part).read_text(encoding="utf-8"))
        if part.exists() and memory["url"] == item.url:
            # A weak validator promises no equal bytes.
            return "" if memory["validator"].startswith("W/") else str(memory["validator"])
    return ""


def _checked(item: Download, path: Path, strict: bool = False) -> str:
    """Return the SHA-256 of a file that is what was announced; else empty, or, if ``strict``, delete and raise."""
    kind, _, expected = item.checksum.partition(":")
    size = path.stat().st_size
    fault, digest = "", ""
    if item.size and size != item.size:
        fault = f"has {size} bytes instead of {item.size}"
    else:
        hashes = {"sha256": hashlib.sha256(), "md5": hashlib.md5(usedforsecurity=False)}
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                for known in {"sha256", kind or "sha256"}:
                    hashes[known].update(chunk)
        digest = hashes["sha256"].hexdigest()
        if kind and hashes[kind].hexdigest() != expected:
            fault = f"has {kind} {hashes[kind].hexdigest()} instead of {expected}"
    if fault and strict:
        _forget(path)
        raise DataError(f"{item.url}: what came {fault}; it was deleted: type the same again, or ask its owner")
    return "" if fault else digest


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to web addresses alone, and none from https to http."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """Return the request that follows, or raise :class:`DataError`."""
        safe = ("https",) if urlsplit(req.full_url).scheme == "https" else ("https", "http")
        if urlsplit(newurl).scheme not in safe:
            fp.close()
            raise DataError(f"{req.full_url}: the server sends on to {newurl}, which is no safe address")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
