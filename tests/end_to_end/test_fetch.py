"""``rmtl-bench data fetch`` against a server on this machine, as a user types it."""

from __future__ import annotations

import hashlib
import http.server
import io
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator

import pytest

ROWS = b"item,click\n" + b"1,0\n2,1\n" * 40_000

PLUGIN = """
from pathlib import Path
from rmtl_bench import DatasetInfo, Download, Source, hookimpl
from rmtl_bench.contracts import DataError, Dataset


class Shop(Dataset):
    def raw_files(self, data_dir):
        path = data_dir / "shop" / "shop.csv"
        if not path.is_file():
            raise DataError("shop: raw files are missing")
        return [path]

    def build(self, data_dir, scratch):
        raise DataError("shop: is not prepared here")


@hookimpl
def rmtl_datasets():
    source = Source(homepage="https://example.org", folder="shop", downloads=(Download(url={url!r}, checksum={checksum!r}),))
    return [DatasetInfo(name="shop", target="shop_plugin:Shop", summary="a shop", source=source)]
"""  # noqa: E501


class Server(http.server.ThreadingHTTPServer):
    """Serves ``content`` under any name; ``cuts`` connections end in the middle; remembers what was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content, self.etag, self.ranges = ROWS, '"one"', True
        self.cuts, self.status = 0, 200
        self.asked: list[str | None] = []


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, span = self.server, self.headers.get("Range")
        server.asked.append(span)
        if server.status != 200:
            self.send_error(server.status)
            return
        begin = int(span.removeprefix("bytes=").removesuffix("-")) if span else 0
        whole = not span or not server.ranges or self.headers.get("If-Range") != server.etag
        body = server.content if whole else server.content[begin:]
        self.send_response(200 if whole else 206)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", server.etag)
        if not whole:
            self.send_header("Content-Range", f"bytes {begin}-{len(server.content) - 1}/{len(server.content)}")
        self.end_headers()
        if server.cuts:
            server.cuts -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def fetch(server, tmp_path, rmtl_bench) -> Callable:
    """Type ``data fetch shop`` for a file of that name and checksum."""

    def type_it(*options: str, name: str = "shop.csv", checksum: str | None = None):
        known = f"sha256:{hashlib.sha256(server.content).hexdigest()}" if checksum is None else checksum
        plugin = tmp_path / "shop_plugin.py"
        plugin.write_text(PLUGIN.format(url=f"http://127.0.0.1:{server.server_port}/{name}", checksum=known))
        arguments = ("--plugin", plugin, "--data-dir", tmp_path / "data", *options)
        env = {"RMTL_BENCH_LOAD_PLUGINS": "", "PYTHONPATH": str(tmp_path)}
        return rmtl_bench("data", "fetch", "shop", *arguments, env=env)

    return type_it


@pytest.fixture
def kept(tmp_path) -> Callable[[], dict[str, bytes]]:
    """What a user finds in the folder of the raw files."""

    def read() -> dict[str, bytes]:
        folder = tmp_path / "data" / "shop"
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    return read


def test_a_file_is_fetched_once(server, fetch, kept):
    assert fetch().returncode == 0
    assert kept()["shop.csv"] == ROWS
    again = fetch()
    assert again.returncode == 0
    assert "shop.csv was fetched before" in again.stderr
    assert len(server.asked) == 1


def test_a_cut_download_goes_on_where_it_ended(server, fetch, kept):
    server.cuts = 1
    done = fetch()
    assert done.returncode == 0, done.stderr
    assert server.asked == [None, f"bytes={len(ROWS) // 2}-"]
    assert kept()["shop.csv"] == ROWS


def test_it_begins_anew_where_the_server_cannot_go_on(server, fetch, kept):
    server.cuts, server.ranges = 1, False
    assert fetch().returncode == 0
    assert kept()["shop.csv"] == ROWS


@pytest.mark.slow
def test_what_came_before_a_long_cut_is_kept_for_the_next_time_and_a_changed_file_begins_anew(server, fetch, kept):
    server.cuts = 99
    failed = fetch()
    assert failed.returncode == 4
    assert "what came is kept, type the same again to go on" in failed.stderr
    assert 0 < len(kept()["shop.csv.part"]) < len(ROWS)
    assert "shop.csv" not in kept()
    server.cuts, server.etag, server.content = 0, '"two"', ROWS[::-1]
    assert fetch().returncode == 0
    assert kept()["shop.csv"] == ROWS[::-1]


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_a_wrong_checksum_is_refused_and_nothing_of_it_stays(server, fetch, kept, kind):
    wrong = f"{kind}:{'0' * (32 if kind == 'md5' else 64)}"
    done = fetch(checksum=wrong)
    assert done.returncode == 4
    expected, found = wrong.partition(":")[2], hashlib.new(kind, ROWS).hexdigest()
    assert f"has {kind} {found} instead of {expected}" in done.stderr
    assert not {"shop.csv", "shop.csv.part"} & kept().keys()


def test_without_a_published_checksum_it_says_what_came(fetch):
    assert f"sha256 {hashlib.sha256(ROWS).hexdigest()}" in fetch(checksum="").stderr


def test_offline_says_what_would_be_fetched_and_asks_nobody(server, fetch, tmp_path):
    done = fetch("--offline")
    assert done.returncode == 4
    assert done.stderr.startswith("error: shop: offline, so that nothing was downloaded\n")
    assert f"http://127.0.0.1:{server.server_port}/shop.csv" in done.stderr
    assert f"mkdir -p {tmp_path / 'data' / 'shop'}" in done.stderr
    assert server.asked == []


def test_a_server_that_refuses_is_asked_once(server, fetch):
    server.status = 404
    done = fetch()
    assert done.returncode == 4
    assert "shop.csv: the server answers 404 Not Found" in done.stderr
    assert len(server.asked) == 1


def packed(kind: str, members: dict[str, bytes], link: str = "") -> bytes:
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return buffer.getvalue()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo("link.csv")
            info.type, info.linkname = tarfile.SYMTYPE, link
            archive.addfile(info)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tgz"])
def test_an_archive_is_unpacked(server, fetch, kept, kind):
    server.content = packed(kind, {"shop.csv": ROWS, "more/items.csv": b"item\n"})
    done = fetch(name=f"shop.{kind}")
    assert done.returncode == 0, done.stderr
    files = {name: content for name, content in kept().items() if not name.startswith(".")}
    assert files == {"shop.csv": ROWS, "more/items.csv": b"item\n"}


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize("name", ["../escaped.csv", "/tmp/escaped.csv", "more/../../escaped.csv", "C:\\escaped.csv"])  # noqa: S108
def test_a_member_that_leads_out_of_the_folder_stops_everything(server, fetch, kept, tmp_path, kind, name):
    server.content = packed(kind, {"shop.csv": ROWS, name: b"x"})
    done = fetch(name=f"shop.{kind}")
    assert done.returncode == 4
    assert "nothing was unpacked" in done.stderr
    assert len(done.stderr.splitlines()) <= 3
    assert not list(tmp_path.rglob("*escaped*"))
    assert not any(name.endswith(".csv") for name in kept())


def test_a_link_stops_everything(server, fetch, kept):
    server.content = packed("tar.gz", {"shop.csv": ROWS}, link="/etc/passwd")
    done = fetch(name="shop.tar.gz")
    assert done.returncode == 4
    assert "member 'link.csv' is a link or a device" in done.stderr
    assert "shop.csv" not in kept()


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_cut_short_leaves_nothing(server, fetch, kept, kind):
    server.content = packed(kind, {"shop.csv": ROWS, "more.csv": ROWS[::-1]})[:-200]
    done = fetch(name=f"shop.{kind}")
    assert done.returncode == 4
    assert "not a whole archive" in done.stderr
    assert not any(name.endswith(".csv") for name in kept())


def test_run_fetches_only_where_asked_to(server, fetch, kept, tmp_path, rmtl_bench):
    fetch("--offline")
    suite = tmp_path / "tiny.toml"
    suite.write_text(
        'schema = 1\nname = "tiny"\nversion = 1\ntitle = "one data set"\nseeds = 1\nmetrics = ["auc"]\n'
        "[datasets.shop]\n[backbones.shared-bottom]\n[weightings.fixed]\n"
        '[[grid]]\nbackbones = ["shared-bottom"]\nweightings = ["fixed"]\n'
        '[statistics]\nreference = "*/fixed"\nheadline = ["auc"]\n'
    )
    folders = ("--data-dir", tmp_path / "data", "--store", tmp_path / "store")
    arguments = ("run", "--suite", suite, "--plugin", tmp_path / "shop_plugin.py", *folders, "--dry-run")
    refused = rmtl_bench(*arguments, env={"PYTHONPATH": str(tmp_path)})
    assert refused.returncode == 4
    assert "type: rmtl-bench data fetch shop" in refused.stderr
    assert server.asked == []
    done = rmtl_bench(*arguments, "--fetch", env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert "shop/shared-bottom/fixed" in done.stdout
    assert kept()["shop.csv"] == ROWS
