"""Archives unpacked with path checks: whole or not at all, and never outside their folder."""

from __future__ import annotations

import gzip
import lzma
import shutil
import tarfile
import uuid
import zipfile
import zlib
from collections.abc import Generator
from contextlib import closing
from pathlib import Path, PurePosixPath
from stat import S_IFDIR, S_IFMT, S_IFREG
from tarfile import EOFHeaderError  # type: ignore[attr-defined]
from typing import IO, NamedTuple, Self

from rmtl_bench.contracts.errors import DataError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")

_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,  # a password, or a compression that zipfile does not know
)
_CHUNK = 1 << 20

HEADER_BYTES = 1 << 20
"""The most bytes by which the header of a member of a tar file may go on: a long name, say."""

MEMBERS = 200_000
"""The most members that an archive may have."""

EXPANDS = 200
"""How many times its own size an archive may be unpacked to; up to :data:`FREELY` bytes, it may be any number of times.

Tables compress to a tenth or a thirtieth. What compresses a thousandfold is made to fill a disk.
"""

FREELY = 1 << 30
"""The bytes up to which nothing is compared with the archive's size."""

_GOES_ON = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_ASIDE = ".unpacking-"
_NO_FILE = "is a link or a device"


class _Member(NamedTuple):
    name: str
    size: int
    fault: str
    content: IO[bytes] | None


def is_archive(name: str) -> bool:
    """Return whether a file of that name is unpacked."""
    return name.endswith(SUFFIXES)


def unpack(archive: Path, folder: Path) -> list[Path]:
    """Unpack ``archive`` into ``folder`` and return its files there; a file of the same name is replaced.

    Members are written aside first. Raises :class:`DataError`, and leaves nothing, for a member with an absolute path,
    with ``..``, with a drive or a backslash, for a link or a device, for more than the disk has room for or
    :data:`EXPANDS` and :data:`MEMBERS` allow, and for an archive that is cut short or damaged.
    """
    aside = folder / f"{_ASIDE}{uuid.uuid4().hex}"
    try:
        aside.mkdir(parents=True)
        names = _extract(archive, aside)
        for name in names:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (aside / name).replace(target)
        return [folder / name for name in names]
    except _BROKEN as error:
        raise DataError(f"{archive}: not a whole archive ({error}); delete it and fetch it again") from error
    except OSError as error:
        raise DataError(f"{archive}: cannot be unpacked to {folder}: {error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what an unpacking that was killed has left in ``folder``; none may be at work there."""
    for aside in folder.glob(f"{_ASIDE}*"):
        shutil.rmtree(aside, ignore_errors=True)


def _extract(archive: Path, aside: Path) -> list[PurePosixPath]:
    room, names = shutil.disk_usage(aside).free, []
    most = max(FREELY, EXPANDS * archive.stat().st_size)
    with closing(_members(archive)) as members:
        for count, member in enumerate(members, 1):
            path = PurePosixPath(member.name)
            fault = member.fault or _fault_of(member.name)
            if fault:
                raise DataError(f"{archive}: member {member.name!r} {fault}; nothing was unpacked")
            room -= member.size
            most -= member.size
            if most < 0 or count > MEMBERS:
                limits = f"more than {MEMBERS:,} members or {EXPANDS} times its size"
                raise DataError(f"{archive}: has {limits}; nothing was unpacked")
            if room < 0:
                raise DataError(
                    f"{archive}: the disk of {aside.parent} has no room for what is in it; nothing was unpacked"
                )
            if member.content is None:
                continue
            target = aside / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                shutil.copyfileobj(member.content, file, _CHUNK)
            if target.stat().st_size != member.size:
                raise EOFError(f"{member.name} is cut short")
            names.append(path)
    if not names:
        raise DataError(f"{archive}: holds no file")
    return list(dict.fromkeys(names))


def _members(archive: Path) -> Generator[_Member, None, None]:
    """Yield the members, folders without content; a tar file is read once, from its beginning to its end."""
    if archive.name.endswith(".zip"):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                # Zero where the file was not packed on Unix.
                plain = S_IFMT(info.external_attr >> 16) in (0, S_IFREG, S_IFDIR)
                fault = "" if plain else _NO_FILE
                if info.is_dir():
                    yield _Member(info.orig_filename, 0, fault, None)
                else:
                    with packed.open(info) as content:
                        # A zip file's own spelling: zipfile turns the separators of this machine into slashes.
                        yield _Member(info.orig_filename, info.file_size, fault, content)
        return
    # Not mode "r|gz", which compares no checksum.
    with (
        archive.open("rb") if archive.name.endswith(".tar") else gzip.open(archive) as file,
        tarfile.open(fileobj=file, mode="r|", bufsize=_CHUNK, tarinfo=_Entry) as stream,
    ):
        for entry in stream:
            plain = entry.isfile() or entry.isdir()
            yield _Member(
                entry.name,
                entry.size if entry.isfile() else 0,
                "" if plain else _NO_FILE,
                stream.extractfile(entry) if entry.isfile() else None,
            )
        while file.read(_CHUNK):
            pass  # A checksum stands at the very end.


class _Entry(tarfile.TarInfo):
    """A member whose header is damaged or cut short is an error, where tarfile takes it for the archive's end.

    So is one whose header goes on for more than :data:`HEADER_BYTES`, which tarfile would read into memory at once.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Return the member of a block of 512 bytes."""
        entry = super().frombuf(buf, encoding, errors)
        if entry.type in _GOES_ON and entry.size > HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {entry.size} bytes")
        return entry

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        """Return the next member."""
        try:
            return super().fromtarfile(archive)
        except tarfile.HeaderError as error:
            if isinstance(error, EOFHeaderError):
                raise
            raise tarfile.ReadError(str(error)) from error


def _fault_of(name: str) -> str:
    """Return why a member may not be unpacked; empty: it may."""
    if "\\" in name or "\0" in name or ":" in name.split("/")[0]:
        return "has a backslash, a drive or a zero in its name"
    if name.startswith("/") or ".." in PurePosixPath(name).parts:
        return "leads out of the folder"
    return ""
