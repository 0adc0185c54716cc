"""Where a data set's raw files come from, and under which licence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit

_DIGITS = {"md5": 32, "sha256": 64}


@dataclass(frozen=True, kw_only=True)
class Download:
    """One public file: an archive (.zip, .tar, .tar.gz, .tgz), which is unpacked, or a raw file, which is kept.

    ``checksum`` is ``md5:...`` or ``sha256:...``, as its owner publishes it; empty where no checksum is published.
    ``size`` in bytes, 0 if unknown.
    """

    url: str
    checksum: str = ""
    size: int = 0

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in ("https", "http") or self.name in ("", ".", ".."):
            raise ValueError(f"download {self.url!r} is no http(s) address of a file")
        kind, _, digits = self.checksum.partition(":")
        if self.checksum and (len(digits) != _DIGITS.get(kind) or set(digits) - set("0123456789abcdef")):
            raise ValueError(f"checksum {self.checksum!r} of {self.url} is not of the form md5:... or sha256:...")

    @property
    def name(self) -> str:
        """The name of the file."""
        return PurePosixPath(urlsplit(self.url).path).name


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where raw files come from: public addresses, Kaggle, or steps that a person has to take.

    ``folder``: where they belong, below the folder of all raw data. ``kaggle`` is a handle, ``owner/name``, for
    ``kagglehub``. ``steps``: what to do by hand, one line each, where nothing can be fetched, or as another way to it;
    ``{folder}`` in a step stands for the full path of that folder.
    """

    homepage: str
    folder: str
    downloads: tuple[Download, ...] = ()
    kaggle: str = ""
    steps: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "downloads", tuple(self.downloads))
        object.__setattr__(self, "steps", tuple(self.steps))
        place = PurePosixPath(self.folder)
        if not self.folder or place.is_absolute() or ".." in place.parts:
            raise ValueError(f"folder {self.folder!r} of a source is no relative path below the raw data's")
