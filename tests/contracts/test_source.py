from __future__ import annotations

import pytest

from rmtl_bench import Download, Source

URL = "https://example.org/files/log.csv?download=1"


def test_a_file_is_called_as_its_address_ends() -> None:
    assert Download(url=URL).name == "log.csv"


@pytest.mark.parametrize("url", ["ftp://example.org/log.csv", "file:///etc/passwd", "log.csv", "https://example.org/"])
def test_an_address_of_no_public_file_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"is no http\(s\) address of a file"):
        Download(url=url)


@pytest.mark.parametrize("checksum", ["", "md5:" + "0" * 32, "sha256:" + "0f" * 32])
def test_a_checksum_is_an_md5_a_sha256_or_not_published(checksum: str) -> None:
    assert Download(url=URL, checksum=checksum).checksum == checksum


@pytest.mark.parametrize(
    "checksum", ["0" * 32, "md5:", "md5:" + "0" * 64, "sha256:" + "0F" * 32, "sha1:" + "0" * 40, "sha256:" + "x" * 64]
)
def test_any_other_checksum_is_refused_with_its_address(checksum: str) -> None:
    with pytest.raises(ValueError, match=r"log\.csv\?download=1 is not of the form md5:\.\.\. or sha256:\.\.\."):
        Download(url=URL, checksum=checksum)


@pytest.mark.parametrize("folder", ["", "/data/shop", "../shop", "shop/../../etc"])
def test_a_folder_outside_that_of_all_raw_data_is_refused(folder: str) -> None:
    with pytest.raises(ValueError, match="is no relative path below the raw data's"):
        Source(homepage="https://example.org", folder=folder)


def test_lists_become_tuples() -> None:
    source = Source(homepage="", folder="a/b", downloads=[Download(url=URL)], steps=["look"])  # type: ignore[arg-type]
    assert (source.downloads, source.steps) == ((Download(url=URL),), ("look",))
    assert hash(source)
