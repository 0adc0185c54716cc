"""``rmtl-bench data fetch`` and ``run --fetch``, as a user types them; the network is a server of the test."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PLUGIN = '''
from rmtl_bench import BackboneInfo, DatasetInfo, Download, Source, WeightingInfo, hookimpl
from rmtl_bench.contracts import DataError, Dataset

HOME = "https://example.org/shop"


class Shop(Dataset):
    """Reads shop.csv."""

    def raw_files(self, data_dir):
        path = data_dir / "shop" / "shop.csv"
        if not path.is_file():
            raise DataError(f"shop: raw files are missing\\n  looked for in: {path.parent}")
        return [path]

    def build(self, data_dir, scratch):
        raise NotImplementedError


def described(name, *files, source=True, **more):
    downloads = tuple(Download(url=f"WEB/{file}") for file in files)
    source = Source(homepage=HOME, folder=name, downloads=downloads, **more) if source else None
    return DatasetInfo(name=name, target=f"{__name__}:Shop", summary="", source=source)


@hookimpl
def rmtl_datasets():
    return [
        described("shop", "shop.csv"),
        described("packed", "shop.zip"),
        described("lost", "gone.csv"),
        described("manual", steps=("accept the licence at https://example.org", "unzip shop.zip -d {folder}")),
        described("drawn", source=False),
    ]


@hookimpl
def rmtl_backbones():
    return [BackboneInfo(name="plain", target="nowhere:Plain", summary="")]


@hookimpl
def rmtl_weightings():
    return [WeightingInfo(name="even", target="nowhere:Even", summary="")]
'''
SUITE = """
schema = 1
name = "small"
version = 1
title = "One cell"
seeds = 1
metrics = ["auc"]
[datasets.shop]
[backbones.plain]
[weightings.even]
[[grid]]
backbones = ["plain"]
weightings = ["even"]
[statistics]
reference = "*/even"
"""
ROWS = b"item,click\n" + b"1,0\n2,1\n" * 400_000
LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000)); "
MAIN = "import runpy; runpy.run_module('rmtl_bench.cli.main', run_name='__main__')"


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        web, span = self.server, self.headers["Range"]
        web.asked.append((self.path, span))
        content = web.files.get(self.path.strip("/"))
        if content is None:
            self.send_error(404)
            return
        start = int(span.removeprefix("bytes=").removesuffix("-")) if span else 0
        self.send_response(206 if span else 200)
        if span:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", '"one"')
        self.end_headers()
        half = start + (len(content) - start) // 2
        self.wfile.write(content[start:half])
        web.may_end.wait(30)
        self.wfile.write(content[half:])

    def log_message(self, *_):
        pass


class Web(ThreadingHTTPServer):
    """Serves files, and remembers paths and ranges; until it ``may_end``, it sends but the half of each."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("logs/shop.csv", ROWS)
        self.files, self.asked = {"shop.csv": ROWS, "shop.zip": packed.getvalue()}, []
        self.may_end = threading.Event()
        self.may_end.set()

    def handle_error(self, request, client_address):
        """A client that was killed is what a test wants."""


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.may_end.set()
        server.shutdown()
        thread.join()


class Place:
    """A user's folders, and the command line in them."""

    def __init__(self, folder: Path, web: Web, environment: dict[str, str]) -> None:
        self.folder, self.data, self.plugin = folder, folder / "raw data", folder / "shop_plugin.py"
        self.plugin.write_text(PLUGIN.replace("WEB", f"http://127.0.0.1:{web.server_port}"))
        self.options = ("--plugin", self.plugin, "--data-dir", self.data)
        self.environment = environment | {"RMTL_BENCH_LOAD_PLUGINS": "", "no_proxy": "*"}

    def start(self, *arguments, code: str = MAIN) -> subprocess.Popen[str]:
        command = [sys.executable, "-P", "-c", code, *map(str, (*arguments, *self.options))]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=self.environment)

    def __call__(self, *arguments, code: str = MAIN):
        """Return exit code, standard output and standard error."""
        with self.start(*arguments, code=code) as process:
            out, err = process.communicate(timeout=100)
        return process.returncode, out, err

    def fetch(self, *arguments, code: str = MAIN):
        """Fetch; nothing is ever printed to standard output."""
        exit_code, out, err = self("data", "fetch", *arguments, code=code)
        assert out == ""
        return exit_code, err

    def found(self, name: str = "shop") -> dict[str, bytes]:
        folder = self.data / name
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def until(self, path: Path, size: int) -> None:
        """Wait until a file has come that far."""
        end = time.monotonic() + 30
        while not (path.exists() and path.stat().st_size >= size):
            assert time.monotonic() < end, f"{path} did not come"
            time.sleep(0.01)


@pytest.fixture
def place(tmp_path, web, clean_environment) -> Place:
    return Place(tmp_path, web, clean_environment)


def test_what_is_fetched_is_said_with_what_to_type_next(place, web):
    code, err = place.fetch("shop", "packed", "drawn")
    assert code == 0, err
    for line in (
        "shop.csv: 3.2 MB",
        f"shop: the raw files are in {place.data / 'shop'}; next: rmtl-bench data prepare shop",
        "packed: unpacking shop.zip",
        f"packed: the raw files are in {place.data / 'packed'}; next: rmtl-bench data prepare packed",
        "drawn: needs no raw files",
    ):
        assert line in err.splitlines()
    assert place.found()["shop.csv"] == ROWS
    assert place.found("packed").keys() == {".fetched.json", "logs/shop.csv"}

    code, err = place.fetch("shop", "packed", "--keep-archives")
    assert code == 0
    assert "shop: shop.csv was fetched before" in err
    assert "packed: shop.zip was fetched before" in err
    assert len(web.asked) == 2


def test_an_archive_is_kept_if_asked_for(place, web):
    assert place.fetch("packed", "--keep-archives")[0] == 0
    assert place.found("packed")["shop.zip"] == web.files["shop.zip"]


def test_after_a_kill_only_the_rest_is_fetched(place, web):
    web.may_end.clear()
    with place.start("data", "fetch", "shop") as process:
        place.until(place.data / "shop" / "shop.csv.part", 1 << 20)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    came = len(place.found()["shop.csv.part"])
    assert "shop.csv" not in place.found()
    web.may_end.set()

    code, err = place.fetch("shop")
    assert code == 0, err
    assert "shop.csv: 3.2 MB, going on at 1.0 MB" in err
    assert place.found()["shop.csv"] == ROWS
    assert web.asked == [("/shop.csv", None), ("/shop.csv", f"bytes={came}-")]


def test_of_two_at_once_the_second_is_told(place, web):
    web.may_end.clear()
    with place.start("data", "fetch", "shop") as first:
        place.until(place.data / "shop" / "shop.csv.part", 1 << 20)
        code, err = place.fetch("shop")
        web.may_end.set()
        first.communicate(timeout=30)
    assert (code, err) == (
        4,
        f"error: shop: another command is fetching into {place.data / 'shop'}; try again when it has finished\n",
    )
    assert first.returncode == 0
    assert place.found()["shop.csv"] == ROWS
    assert len(web.asked) == 1


def test_ctrl_c_keeps_what_came_and_says_nothing_more(place, web):
    web.may_end.clear()
    with place.start("data", "fetch", "shop") as process:
        place.until(place.data / "shop" / "shop.csv.part", 1 << 20)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert place.found().keys() == {"shop.csv.part", "shop.csv.part.json"}


def test_a_full_disk_is_one_line_and_leaves_nothing_half_under_its_name(place, web):
    code, err = place.fetch("shop", code=LIMITED + MAIN)
    assert code == 4
    assert err.splitlines()[-1].startswith(f"error: shop: cannot be fetched into {place.data / 'shop'}: ")
    assert err.endswith("File too large; what came is kept\n")
    assert "shop.csv" not in place.found()
    assert place.fetch("shop")[0] == 0
    assert place.found()["shop.csv"] == ROWS
    assert web.asked[1] == ("/shop.csv", "bytes=1500000-")


def test_a_disk_that_is_full_while_unpacking_is_one_line_and_leaves_the_archive(place, web):
    code, err = place.fetch("packed", code=LIMITED + MAIN)
    assert code == 4
    archive = place.data / "packed" / "shop.zip"
    assert err.splitlines()[-1].startswith(f"error: {archive}: cannot be unpacked to {archive.parent}: ")
    assert err.endswith("File too large\n")
    assert place.found("packed").keys() == {"shop.zip"}
    assert place.fetch("packed")[0] == 0
    assert place.found("packed")["logs/shop.csv"] == ROWS
    assert len(web.asked) == 1


def test_what_cannot_be_fetched_is_said_in_steps(place):
    code, err = place.fetch("manual")
    folder = f"'{place.data}/manual'"
    assert (code, err.splitlines()) == (
        4,
        [
            "error: manual: cannot be fetched without you",
            "  source: https://example.org/shop",
            f"  1. mkdir -p {folder}",
            "  2. accept the licence at https://example.org",
            f"  3. unzip shop.zip -d {folder}",
        ],
    )


@pytest.mark.parametrize(("option", "switch"), [(("--offline",), ""), ((), "1")])
def test_offline_nobody_is_asked(place, web, option, switch):
    place.environment["RMTL_BENCH_OFFLINE"] = switch
    code, err = place.fetch("packed", *option)
    folder = f"'{place.data}/packed'"
    assert (code, err.splitlines()) == (
        4,
        [
            "error: packed: offline, so that nothing was downloaded",
            "  it would come from",
            f"  http://127.0.0.1:{web.server_port}/shop.zip",
            "  or by hand:",
            "  source: https://example.org/shop",
            f"  1. mkdir -p {folder}",
            f"  2. put the files of https://example.org/shop into {folder}",
        ],
    )
    assert web.asked == []
    assert not place.data.exists()


@pytest.mark.parametrize(
    ("names", "code", "said"),
    [
        (("shop", "shpo"), 2, "unknown dataset 'shpo'; did you mean 'shop'?"),
        ((), 2, "Missing argument 'NAME...'."),
        (("lost",), 4, "/gone.csv: the server answers 404 Not Found"),
    ],
)
def test_a_mistake_gets_one_line(place, names, code, said):
    found, err = place.fetch(*names)
    assert found == code
    assert said in err
    assert len(err.splitlines()) == 1
    assert not (place.data / "shop").exists()


def test_fetching_imports_no_torch(place):
    watched = f"""
import sys
try:
    {MAIN}
finally:
    print("torch" in sys.modules)
"""
    for arguments in (("data", "fetch", "--help"), ("data", "fetch", "shop")):
        code, out, _ = place(*arguments, code=watched)
        assert (code, out.splitlines()[-1]) == (0, "False")


def test_a_suite_fetches_what_it_lacks_if_asked_to(place, web):
    suite = place.folder / "small.toml"
    suite.write_text(SUITE)
    arguments = ("run", "--suite", suite, "--store", place.folder / "store", "--dry-run")
    code, out, err = place(*arguments)
    assert (code, out) == (4, "")
    assert err.splitlines()[-2:] == ["  source: https://example.org/shop", "  type: rmtl-bench data fetch shop"]
    assert web.asked == []

    code, out, err = place(*arguments, "--fetch")
    assert code == 0, err
    assert "suite small@1: 1 cells, 1 to run" in err
    assert out.endswith("  shop/plain/even/0\n")
    assert place.found()["shop.csv"] == ROWS

    assert place(*arguments, "--fetch")[0] == 0
    assert len(web.asked) == 1


def test_a_terminal_is_shown_a_bar(monkeypatch, capsys):
    from rmtl_bench.cli.data_fetch import open_listener

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bar = open_listener()
    bar.started("shop.csv", 10, 0)
    bar.advanced(4)
    bar.started("shop.csv", 10, 4)
    bar.advanced(6)
    bar.say("[all] of it")
    bar.close()
    shown = capsys.readouterr().err
    assert "[all] of it" in shown
    assert "10/10 bytes" in shown
