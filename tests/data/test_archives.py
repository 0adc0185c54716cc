"""Archives: unpacked whole or not at all, and never outside their folder."""

from __future__ import annotations

import errno
import gzip
import io
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from rmtl_bench.contracts.errors import DataError
from rmtl_bench.data import archives
from rmtl_bench.data.archives import SUFFIXES, is_archive, remove_leftovers, unpack

MEMBERS = {"shop.csv": b"item,click\n" * 40, "more/items.csv": b"item\n", "empty.csv": b""}
TARS = (".tar", ".tar.gz", ".tgz")


def packed(kind: str, members: dict[str, bytes] = MEMBERS, *special: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    if kind == ".zip":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return buffer.getvalue()
    with tarfile.open(fileobj=buffer, mode="w" if kind == ".tar" else "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in special:
            archive.addfile(info)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path) -> Path:
    place = tmp_path / "folder"
    place.mkdir()
    return place


@pytest.fixture
def write(tmp_path) -> Callable[[str, bytes], Path]:
    def run(kind: str, content: bytes) -> Path:
        path = tmp_path / f"archive{kind}"
        path.write_bytes(content)
        return path

    return run


@pytest.fixture
def refused(write, folder, tmp_path) -> Callable[..., str]:
    """Unpack what must be refused; return the one line that says so."""

    def run(kind: str, content: bytes) -> str:
        archive = write(kind, content)
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(DataError) as caught:
            unpack(archive, folder)
        assert sorted(tmp_path.rglob("*")) == before
        said = str(caught.value)
        assert len(said.splitlines()) == 1
        assert said.startswith(f"{archive}: ")
        return said

    return run


def found(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", SUFFIXES)
def test_an_archive_is_unpacked_beside_what_is_there(write, folder, kind):
    (folder / "other.csv").write_bytes(b"stays")
    (folder / "shop.csv").write_bytes(b"is replaced")
    files = unpack(write(kind, packed(kind)), folder)
    assert files == [folder / name for name in MEMBERS]
    assert found(folder) == {**MEMBERS, "other.csv": b"stays"}
    assert {path.name for path in folder.iterdir()} == {"shop.csv", "more", "empty.csv", "other.csv"}


def test_its_name_tells_an_archive():
    assert is_archive("a.zip")
    assert is_archive("a.tar.gz")
    assert not is_archive("a.csv.gz")


@pytest.mark.parametrize("kind", [".zip", ".tar", ".tar.gz"])
@pytest.mark.parametrize(
    "name",
    ["../out.csv", "more/../../out.csv", "/out.csv", "//host/out.csv", "C:/out.csv", "C:out.csv", "a\\..\\out.csv"],
)
def test_a_member_that_leads_out_stops_everything(refused, kind, name):
    said = refused(kind, packed(kind, {**MEMBERS, name: b"x"}))
    assert repr(name) in said
    assert "nothing was unpacked" in said


@pytest.mark.parametrize("kind", TARS)
@pytest.mark.parametrize(
    "type_", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_a_link_or_a_device_stops_everything(refused, kind, type_):
    info = tarfile.TarInfo("strange.csv")
    info.type, info.linkname = type_, "shop.csv"
    assert "member 'strange.csv' is a link or a device; nothing was unpacked" in refused(
        kind, packed(kind, MEMBERS, info)
    )


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_a_link_or_a_device_in_a_zip_file_stops_everything(refused, mode):
    buffer = io.BytesIO(packed(".zip"))
    with zipfile.ZipFile(buffer, "a") as archive:
        info = zipfile.ZipInfo("strange.csv")
        info.create_system, info.external_attr = 3, (mode | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert "member 'strange.csv' is a link or a device; nothing was unpacked" in refused(".zip", buffer.getvalue())


def test_a_link_cannot_be_written_through(refused, tmp_path):
    link = tarfile.TarInfo("way")
    link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(link)
        info = tarfile.TarInfo("way/out.csv")
        info.size = 1
        archive.addfile(info, io.BytesIO(b"x"))
    assert "'way' is a link" in refused(".tar", buffer.getvalue())


@pytest.mark.parametrize("kind", [".zip", ".tar.gz"])
def test_an_archive_cut_anywhere_leaves_nothing(refused, kind):
    content = packed(kind)
    for length in range(0, len(content), 5):
        assert "not a whole archive" in refused(kind, content[:length])


def test_a_plain_tar_file_cut_anywhere_before_its_end_mark_leaves_nothing(refused):
    content = packed(".tar")
    end = len(content.rstrip(b"\0"))
    for length in range(0, end, 256):
        assert "not a whole archive" in refused(".tar", content[:length])


@pytest.mark.parametrize("kind", [".zip", ".tar.gz"])
def test_damaged_content_is_noticed(refused, kind):
    # Stored, not deflated, so that nothing but the checksum can tell.
    if kind == ".zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("shop.csv", b"item,click\n" * 40)
        content = buffer.getvalue()
    else:
        content = gzip.compress(packed(".tar", {"shop.csv": b"item,click\n" * 40}), compresslevel=0)
    place = content.index(b"click") + 50
    assert "not a whole archive" in refused(kind, content[:place] + b"?" + content[place + 1 :])


@pytest.mark.parametrize("kind", SUFFIXES)
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>" * 100])
def test_a_page_instead_of_an_archive_is_one_line(refused, kind, content):
    assert "not a whole archive" in refused(kind, content)


def test_an_archive_under_another_archive_s_name_is_one_line(refused):
    assert "not a whole archive" in refused(".tar.gz", packed(".zip"))
    assert "not a whole archive" in refused(".zip", packed(".tar.gz"))


def test_a_password_is_one_line(refused):
    content = bytearray(packed(".zip", {"shop.csv": b"x" * 99}))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1
    assert "encrypted" in refused(".zip", bytes(content))


@pytest.mark.parametrize("kind", SUFFIXES)
def test_an_archive_without_a_file_is_refused(refused, kind):
    assert "holds no file" in refused(kind, packed(kind, {}))


@pytest.mark.parametrize("kind", SUFFIXES)
def test_what_the_disk_has_no_room_for_is_refused(refused, monkeypatch, kind):
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda path: SimpleNamespace(free=50_000))
    assert "has no room for" in refused(kind, packed(kind, {"zeros.csv": bytes(60_000)}))


@pytest.mark.parametrize("kind", SUFFIXES)
def test_a_full_disk_leaves_nothing(refused, monkeypatch, kind):
    def fail(source, target, *_):
        target.write(source.read(3))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(archives.shutil, "copyfileobj", fail)
    said = refused(kind, packed(kind))
    assert "cannot be unpacked" in said
    assert "No space left on device" in said


def test_a_file_where_a_folder_has_to_be_is_one_line(write, folder):
    (folder / "more").write_bytes(b"a file")
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(write(".zip", packed(".zip", {"more/items.csv": b"x"})), folder)
    assert found(folder) == {"more": b"a file"}


def test_a_member_that_is_a_file_and_a_folder_is_one_line(refused):
    assert "cannot be unpacked" in refused(".zip", packed(".zip", {"more": b"x", "more/items.csv": b"x"}))


def test_folders_and_a_leading_dot_are_fine(write, folder):
    top = tarfile.TarInfo("./data")
    top.type = tarfile.DIRTYPE
    unpack(write(".tar.gz", packed(".tar.gz", {"./data/shop.csv": b"x"}, top)), folder)
    assert found(folder) == {"data/shop.csv": b"x"}


def test_what_a_killed_unpacking_left_is_removed(folder):
    aside = folder / f"{archives._ASIDE}0123"
    (aside / "more").mkdir(parents=True)
    (aside / "more" / "items.csv").write_bytes(b"x")
    (folder / "shop.csv").write_bytes(b"x")
    remove_leftovers(folder)
    assert found(folder) == {"shop.csv": b"x"}
    assert not aside.exists()
    shutil.rmtree(folder)
    remove_leftovers(folder)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_header_that_would_fill_the_memory_is_refused_unread(refused, kind):
    header = tarfile.TarInfo("long")
    header.type, header.size = kind, 3 << 30
    assert "a header of 3221225472 bytes" in refused(".tar", header.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))


@pytest.mark.parametrize("kind", [".zip", ".tar.gz"])
def test_an_archive_that_expands_out_of_all_proportion_is_refused(refused, monkeypatch, kind):
    monkeypatch.setattr(archives, "FREELY", 1 << 20)
    content = packed(kind, {"zeros.csv": bytes(8 << 20)})
    assert len(content) * archives.EXPANDS < 8 << 20
    assert "200 times its size" in refused(kind, content)


def test_an_archive_of_more_members_than_may_be_is_refused(refused, monkeypatch):
    monkeypatch.setattr(archives, "MEMBERS", 2)
    assert "more than 2 members" in refused(".tar", packed(".tar", {f"{number}.csv": b"a" for number in range(3)}))
