"""Raw files of a data set, from downloads that need no network."""

from __future__ import annotations

import json
import os
import shutil
import sys
import types
import zipfile
from pathlib import Path

import pytest

from rmtl_bench.contracts import DataError, Download, Source
from rmtl_bench.data import fetching
from rmtl_bench.data.fetching import by_hand, fetch
from rmtl_bench.data.locks import try_lock

URL = "https://example.org/files/"
HOME = "https://example.org/shop"
STEPS = ("accept the licence", "move log.csv into {folder}", "ls {folder}")


class Lines:
    """Remembers the lines it is told."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A folder whose files stand for the network; ``asked`` lists the names of those that were downloaded."""
    folder = tmp_path / "web"
    folder.mkdir()

    def download(item, target, listener):
        web.asked.append(item.name)
        shutil.copyfile(web.folder / item.name, target / item.name)
        return "0" * 64

    def write(name, **files):
        if not name.endswith(".zip"):
            (folder / name).write_text(files["text"])
            return
        with zipfile.ZipFile(folder / name, "w") as packed:
            for file, text in files.items():
                packed.writestr(f"data/{file}.csv", text)

    web = types.SimpleNamespace(folder=folder, asked=[], write=write)
    monkeypatch.setattr(fetching, "download", download)
    return web


@pytest.fixture
def lines():
    return Lines()


@pytest.fixture
def bring(tmp_path, lines):
    """Fetch files of the given names, or what a source says, into a folder with a blank in its name."""

    def run(*names, checksum="", **options):
        given = {key: options.pop(key) for key in ("kaggle", "steps") if key in options}
        downloads = tuple(Download(url=URL + name, checksum=checksum) for name in names)
        source = Source(homepage=HOME, folder="the shop", downloads=downloads, **given)
        return fetch("shop", source, tmp_path / "raw", lines, **options)

    return run


@pytest.fixture
def found(tmp_path):
    """The files in the data set's folder, with their text, but for the memory of what was fetched."""

    def look():
        folder = tmp_path / "raw" / "the shop"
        files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
        files.pop(".fetched.json", None)
        return {name: path.read_text("latin-1") for name, path in sorted(files.items())}

    return look


def test_files_are_kept_and_archives_unpacked(web, bring, found, lines, tmp_path):
    web.write("items.csv", text="item")
    web.write("logs.zip", log="1,0", more="2,1")
    assert bring("items.csv", "logs.zip") == tmp_path / "raw" / "the shop"
    assert found() == {"data/log.csv": "1,0", "data/more.csv": "2,1", "items.csv": "item"}
    assert lines.lines == ["shop: unpacking logs.zip"]


def test_an_archive_is_kept_if_asked_for(web, bring, found):
    web.write("logs.zip", log="1,0")
    bring("logs.zip", keep_archives=True)
    assert list(found()) == ["data/log.csv", "logs.zip"]


def test_a_second_fetch_does_nothing(web, bring, lines):
    web.write("items.csv", text="item")
    web.write("logs.zip", log="1,0")
    bring("items.csv", "logs.zip")
    bring("items.csv", "logs.zip")
    assert web.asked == ["items.csv", "logs.zip"]
    assert lines.lines[1:] == ["shop: items.csv was fetched before", "shop: logs.zip was fetched before"]


@pytest.mark.parametrize("memory", ["{", "[]", '{"logs.zip": 3}', "{}"])
def test_a_damaged_memory_only_costs_another_fetch(web, bring, found, tmp_path, memory):
    web.write("logs.zip", log="1,0")
    bring("logs.zip")
    (tmp_path / "raw" / "the shop" / ".fetched.json").write_text(memory)
    bring("logs.zip")
    assert found() == {"data/log.csv": "1,0"}
    assert web.asked == ["logs.zip", "logs.zip"]


def test_a_file_that_was_deleted_is_fetched_again(web, bring, found, tmp_path):
    web.write("logs.zip", log="1,0", more="2,1")
    bring("logs.zip")
    (tmp_path / "raw" / "the shop" / "data" / "more.csv").unlink()
    bring("logs.zip")
    assert list(found()) == ["data/log.csv", "data/more.csv"]


@pytest.mark.parametrize("name", ["logs.zip", "logs.csv"])
def test_the_files_of_an_older_fetch_are_replaced(web, bring, found, name):
    web.write(name, text="old")
    bring(name, checksum="md5:" + "0" * 32)
    web.write(name, text="new")
    bring(name, checksum="md5:" + "1" * 32)
    assert list(found().values()) == ["new"]


def test_what_was_fetched_is_remembered_with_its_checksums(web, bring, tmp_path):
    web.write("logs.zip", log="1,0")
    bring("logs.zip")
    memory = json.loads((tmp_path / "raw" / "the shop" / ".fetched.json").read_text())
    assert memory == {
        "logs.zip": {"url": f"{URL}logs.zip", "checksum": "", "sha256": "0" * 64, "files": ["data/log.csv"]}
    }


def test_a_broken_archive_leaves_what_was_there(web, bring, found):
    web.write("logs.zip", log="1,0")
    bring("logs.zip")
    (web.folder / "logs.zip").write_text("<html>Please log in</html>")
    with pytest.raises(DataError, match=r"logs\.zip: not a whole archive"):
        bring("logs.zip", checksum="md5:" + "0" * 32)
    assert found()["data/log.csv"] == "1,0"


def test_what_a_killed_command_left_is_removed(web, bring, found, tmp_path):
    aside = tmp_path / "raw" / "the shop" / ".unpacking-0123"
    aside.mkdir(parents=True)
    (aside / "half.csv").write_text("1,")
    (aside.parent / ".fetch.lock").touch()
    web.write("items.csv", text="item")
    bring("items.csv")
    assert found() == {"items.csv": "item"}
    assert not aside.exists()


def test_of_two_at_once_the_second_is_told(web, bring, tmp_path):
    folder = tmp_path / "raw" / "the shop"
    folder.mkdir(parents=True)
    lock = try_lock(folder / ".fetch.lock")
    try:
        with pytest.raises(DataError, match=r"shop: another command is fetching into .*; try again"):
            bring("items.csv")
    finally:
        os.close(lock)
    assert web.asked == []
    web.write("items.csv", text="item")
    bring("items.csv")
    assert web.asked == ["items.csv"]


def test_a_folder_that_cannot_be_written_is_named(bring, tmp_path):
    (tmp_path / "raw").write_text("a file, where a folder should be")
    with pytest.raises(DataError, match=r"shop: .*the shop cannot be written: "):
        bring("items.csv")


def test_a_disk_in_trouble_is_one_line(bring, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetching, "download", fail)
    with pytest.raises(DataError, match=r"shop: cannot be fetched into .*No space left on device; what came is kept$"):
        bring("items.csv")


def test_offline_nothing_is_brought_and_everything_is_said(web, bring, tmp_path):
    with pytest.raises(DataError) as caught:
        bring("items.csv", "logs.zip", offline=True)
    folder = f"'{tmp_path}/raw/the shop'"
    assert str(caught.value).splitlines() == [
        "shop: offline, so that nothing was downloaded",
        "  it would come from",
        f"  {URL}items.csv",
        f"  {URL}logs.zip",
        "  or by hand:",
        f"  source: {HOME}",
        f"  1. mkdir -p {folder}",
        f"  2. put the files of {HOME} into {folder}",
    ]
    assert web.asked == []
    assert not (tmp_path / "raw").exists()


def test_offline_the_sizes_are_said_where_they_are_known(tmp_path, lines):
    source = Source(homepage=HOME, folder="shop", downloads=(Download(url=URL + "logs.zip", size=123),))
    with pytest.raises(DataError, match=rf"{URL}logs\.zip \(123 bytes\)\n"):
        fetch("shop", source, tmp_path, lines, offline=True)


def test_what_cannot_be_fetched_is_said_in_steps(bring, tmp_path):
    with pytest.raises(DataError) as caught:
        bring(steps=STEPS)
    folder = f"'{tmp_path}/raw/the shop'"
    assert str(caught.value).splitlines() == [
        "shop: cannot be fetched without you",
        f"  source: {HOME}",
        f"  1. mkdir -p {folder}",
        "  2. accept the licence",
        f"  3. move log.csv into {folder}",
        f"  4. ls {folder}",
    ]


def test_a_plain_folder_is_not_quoted():
    assert by_hand(Source(homepage=HOME, folder="shop", steps=STEPS), Path("/data")).endswith("4. ls /data/shop")


@pytest.fixture
def kagglehub(tmp_path, monkeypatch):
    """A stand-in for kagglehub, whose cache holds two files; ``asked`` lists the handles."""
    cache = tmp_path / "cache"
    (cache / "deep").mkdir(parents=True)
    (cache / "events.csv").write_text("1,0")
    (cache / "deep" / "items.csv").write_text("item")
    module = types.ModuleType("kagglehub")
    module.asked = []
    module.dataset_download = lambda handle: module.asked.append(handle) or str(cache)
    monkeypatch.setitem(sys.modules, "kagglehub", module)
    return module


def test_kaggles_files_are_fetched_once(kagglehub, bring, found, lines):
    bring(kaggle="shop/logs")
    bring(kaggle="shop/logs")
    assert found() == {"deep/items.csv": "item", "events.csv": "1,0"}
    assert kagglehub.asked == ["shop/logs"]
    assert lines.lines == ["shop: kagglehub brings shop/logs", "shop: shop/logs was fetched before"]


def test_kaggles_files_are_copied_where_they_cannot_be_linked(kagglehub, bring, found, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(18, "Invalid cross-device link")

    (tmp_path / "raw" / "the shop").mkdir(parents=True)
    (tmp_path / "raw" / "the shop" / "events.csv").write_text("from before")
    monkeypatch.setattr(os, "link", fail)
    bring(kaggle="shop/logs")
    assert found() == {"deep/items.csv": "item", "events.csv": "1,0"}


def test_without_kagglehub_a_user_is_told_what_to_type(bring, monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(DataError, match=r"which is not installed; type: pip install 'rmtl-bench\[kaggle\]'$"):
        bring(kaggle="shop/logs")


@pytest.mark.parametrize(("text", "said"), [("403: log in\n  first", "403: log in"), ("", "RuntimeError")])
def test_what_kagglehub_says_is_told_in_one_line(kagglehub, bring, found, text, said):
    def fail(handle):
        raise RuntimeError(text)

    kagglehub.dataset_download = fail
    with pytest.raises(DataError) as caught:
        bring(kaggle="shop/logs")
    assert str(caught.value) == f"shop: kagglehub cannot bring shop/logs: {said}"
    assert found() == {}


def test_offline_kaggle_is_not_asked(kagglehub, bring):
    with pytest.raises(DataError, match=f"it would come from\n  {HOME}, through kagglehub\n  or by hand:\n"):
        bring(kaggle="shop/logs", offline=True)
    assert kagglehub.asked == []


def test_kaggle_is_not_asked_for_what_has_public_addresses(kagglehub, web, bring, found):
    web.write("items.csv", text="item")
    bring("items.csv", kaggle="shop/logs")
    assert (list(found()), kagglehub.asked) == (["items.csv"], [])


@pytest.mark.parametrize("given", [{}, {"kaggle": "shop/logs"}])
def test_offline_what_is_here_already_is_no_error(kagglehub, web, bring, lines, tmp_path, given):
    web.write("logs.zip", log="1,0")
    names = () if given else ("logs.zip",)
    folder = bring(*names, **given)
    assert bring(*names, **given, offline=True) == folder
    assert lines.lines[-1] == "shop: was fetched before"
    (folder / ("events.csv" if given else "data/log.csv")).unlink()
    with pytest.raises(DataError, match="offline, so that nothing was downloaded"):
        bring(*names, **given, offline=True)


def test_steps_name_a_full_path_wherever_they_are_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = Source(homepage=HOME, folder="shop", steps=STEPS)
    assert f"mkdir -p {tmp_path}/raw/shop\n" in by_hand(source, Path("raw"))


def test_a_lock_that_cannot_be_removed_hides_no_error_and_locks_nobody_out(web, bring, found, monkeypatch):
    unlink = Path.unlink

    def fail(path, missing_ok=False):
        if path.name == ".fetch.lock":
            raise PermissionError(13, "in use")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", fail)
    web.write("items.csv", text="item")
    for _ in range(2):
        bring("items.csv")
    assert found() == {".fetch.lock": "", "items.csv": "item"}
    monkeypatch.setattr(fetching, "download", lambda *_: (_ for _ in ()).throw(DataError("refused")))
    with pytest.raises(DataError, match=r"^refused$"):
        bring("other.csv")
