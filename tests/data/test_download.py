"""One file from a server on this machine: resumed, checked, and under its name only when it is whole."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from rmtl_bench.contracts.errors import DataError
from rmtl_bench.contracts.source import Download
from rmtl_bench.data import download as module
from rmtl_bench.data.download import ATTEMPTS, download

CONTENT = bytes(range(256)) * 1000
HALF = len(CONTENT) // 2
SHA256, MD5 = hashlib.sha256(CONTENT).hexdigest(), hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Answers each request by ``answers[n]``, the last of them again and again, and remembers what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[Callable[[_Handler], None]] = [whole]
        self.asked: list[tuple[str | None, str | None]] = []

    def url(self, name: str = "file.csv") -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.headers.get("Range"), self.headers.get("If-Range")))
        answers = self.server.answers
        answers[min(len(self.server.asked), len(answers)) - 1](self)

    def answer(self, status: int, body: bytes = b"", **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def whole(handler: _Handler, content: bytes = CONTENT, etag: str = '"one"') -> None:
    handler.answer(200, content, Content_Length=len(content), ETag=etag)


def cut(handler: _Handler, etag: str = '"one"') -> None:
    handler.answer(200, CONTENT[:HALF], Content_Length=len(CONTENT), ETag=etag)


def rest(handler: _Handler, begin: int = HALF, etag: str = '"one"', content: bytes = CONTENT) -> None:
    span = f"bytes {begin}-{len(content) - 1}/{len(content)}"
    handler.answer(206, content[begin:], Content_Length=len(content) - begin, ETag=etag, Content_Range=span)


class Listener:
    def __init__(self) -> None:
        self.begun: list[tuple[str, int, int]] = []
        self.came = 0
        self.said: list[str] = []

    def started(self, name: str, size: int, done: int) -> None:
        self.begun.append((name, size, done))

    def advanced(self, count: int) -> None:
        self.came += count

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def bring(server, tmp_path, listener) -> Callable[..., str]:
    def run(checksum: str = f"sha256:{SHA256}", size: int = 0) -> str:
        return download(Download(url=server.url(), checksum=checksum, size=size), tmp_path, listener)

    return run


@pytest.fixture
def names(tmp_path) -> Callable[[], set[str]]:
    return lambda: {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("checksum", ["", f"md5:{MD5}", f"sha256:{SHA256}"])
def test_a_file_comes_whole_and_alone(bring, names, tmp_path, listener, checksum):
    assert bring(checksum, len(CONTENT)) == SHA256
    assert (tmp_path / "file.csv").read_bytes() == CONTENT
    assert names() == {"file.csv"}
    assert listener.begun == [("file.csv", len(CONTENT), 0)]
    assert listener.came == len(CONTENT)
    said = [] if checksum else [f"file.csv: no checksum is published; what came has sha256 {SHA256}"]
    assert listener.said == said


def test_a_file_that_is_there_and_right_is_not_asked_for(server, bring, tmp_path):
    (tmp_path / "file.csv").write_bytes(CONTENT)
    assert bring() == SHA256
    assert server.asked == []


@pytest.mark.parametrize("old", [CONTENT[:-1], CONTENT[::-1]])
def test_a_file_that_is_there_and_wrong_is_replaced(bring, tmp_path, listener, old):
    (tmp_path / "file.csv").write_bytes(old)
    bring(size=len(CONTENT))
    assert (tmp_path / "file.csv").read_bytes() == CONTENT
    assert "it is brought again" in listener.said[0]


def test_after_a_cut_only_the_rest_is_asked_for(server, bring, names, tmp_path, listener):
    server.answers = [cut, rest]
    assert bring() == SHA256
    assert server.asked == [(None, None), (f"bytes={HALF}-", '"one"')]
    assert (tmp_path / "file.csv").read_bytes() == CONTENT
    assert names() == {"file.csv"}
    assert listener.begun[1] == ("file.csv", len(CONTENT), HALF)
    assert listener.came == len(CONTENT)


def test_a_server_that_knows_no_ranges_sends_all_again(server, bring, tmp_path):
    server.answers = [cut, whole]
    assert bring("") == SHA256
    assert (tmp_path / "file.csv").read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_begins_anew(server, bring, tmp_path):
    other = CONTENT[::-1]
    server.answers = [cut, lambda handler: whole(handler, other, '"two"')]
    assert bring("") == hashlib.sha256(other).hexdigest()
    assert (tmp_path / "file.csv").read_bytes() == other


@pytest.mark.parametrize(
    "strange",
    [
        pytest.param(lambda handler: rest(handler, etag='"two"', content=CONTENT[::-1]), id="of another file"),
        pytest.param(lambda handler: rest(handler, begin=HALF + 1), id="of another place"),
        pytest.param(lambda handler: handler.answer(206, CONTENT[HALF:], Content_Length=HALF), id="of nowhere"),
    ],
)
def test_a_part_that_is_not_the_rest_is_never_appended(server, bring, tmp_path, strange):
    server.answers = [cut, strange, whole]
    assert bring("") == SHA256
    assert (tmp_path / "file.csv").read_bytes() == CONTENT
    assert server.asked[-1] == (None, None)


@pytest.mark.parametrize("etag", ['W/"weak"', ""])
def test_without_a_strong_mark_of_the_file_nothing_is_continued(server, bring, tmp_path, etag):
    server.answers = [lambda handler: cut(handler, etag), whole]
    assert bring("") == SHA256
    assert server.asked == [(None, None), (None, None)]


def test_a_part_of_another_address_is_not_continued(server, bring, tmp_path):
    (tmp_path / "file.csv.part").write_bytes(b"x" * HALF)
    memory = {"url": "http://127.0.0.1/file.csv", "validator": '"one"'}
    (tmp_path / "file.csv.part.json").write_text(json.dumps(memory))
    bring()
    assert server.asked == [(None, None)]


@pytest.mark.parametrize("memory", ["", "{", "[]", "{}", '{"url": 1, "validator": 2}'])
def test_a_damaged_memory_of_a_part_is_no_harm(server, bring, tmp_path, memory):
    (tmp_path / "file.csv.part").write_bytes(b"x" * HALF)
    (tmp_path / "file.csv.part.json").write_text(memory)
    assert bring() == SHA256


@pytest.fixture
def complete_part(server, tmp_path) -> None:
    """What a command leaves that was killed between the last byte and the check."""
    (tmp_path / "file.csv.part").write_bytes(CONTENT)
    (tmp_path / "file.csv.part.json").write_text(json.dumps({"url": server.url(), "validator": '"one"'}))


@pytest.mark.usefixtures("complete_part")
def test_a_part_that_is_complete_is_not_downloaded_again(server, bring, names):
    server.answers = [lambda handler: handler.answer(416, Content_Range=f"bytes */{len(CONTENT)}")]
    assert bring() == SHA256
    assert len(server.asked) == 1
    assert names() == {"file.csv"}


@pytest.mark.usefixtures("complete_part")
def test_a_part_that_is_longer_than_the_file_begins_anew(server, bring, tmp_path):
    short = CONTENT[:100]
    server.answers = [
        lambda handler: handler.answer(416, Content_Range=f"bytes */{len(short)}"),
        lambda handler: whole(handler, short),
    ]
    bring("")
    assert (tmp_path / "file.csv").read_bytes() == short


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_a_wrong_checksum_names_both_and_leaves_nothing(server, bring, names, kind):
    expected, found = "0" * (32 if kind == "md5" else 64), MD5 if kind == "md5" else SHA256
    with pytest.raises(DataError, match=f"file.csv: what came has {kind} {found} instead of {expected}"):
        bring(f"{kind}:{expected}")
    assert names() == set()
    assert len(server.asked) == 1


@pytest.mark.parametrize("difference", [-1, 1])
def test_a_wrong_size_names_both_and_leaves_nothing(bring, names, difference):
    with pytest.raises(DataError, match=f"{len(CONTENT)} bytes instead of {len(CONTENT) + difference}"):
        bring("", len(CONTENT) + difference)
    assert names() == set()


def test_a_wrong_size_is_noticed_before_the_bytes_come(bring, listener):
    with pytest.raises(DataError):
        bring("", 7)
    assert listener.came == 0


def test_without_a_length_the_published_size_tells_a_cut(server, bring, tmp_path):
    server.answers = [lambda handler: handler.answer(200, CONTENT[:HALF], ETag='"one"'), rest]
    bring("", len(CONTENT))
    assert (tmp_path / "file.csv").read_bytes() == CONTENT
    assert server.asked[1][0] == f"bytes={HALF}-"


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_final(server, bring, names, status):
    server.answers = [lambda handler: handler.answer(status)]
    with pytest.raises(DataError, match=f"file.csv: the server answers {status}"):
        bring()
    assert len(server.asked) == 1
    assert names() == set()


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_is_busy_is_asked_again(server, bring, status):
    server.answers = [lambda handler: handler.answer(status), whole]
    assert bring() == SHA256


def test_a_server_that_stays_busy_is_given_up(server, bring):
    server.answers = [lambda handler: handler.answer(503)]
    with pytest.raises(DataError, match="503 Service Unavailable; what came is kept"):
        bring()
    assert len(server.asked) == ATTEMPTS


def test_what_came_before_giving_up_is_kept_for_the_next_time(server, bring, names, tmp_path):
    server.answers = [cut, lambda handler: handler.answer(503)]
    with pytest.raises(DataError):
        bring()
    assert names() == {"file.csv.part", "file.csv.part.json"}
    server.answers = [rest]
    assert bring() == SHA256
    assert server.asked[-1] == (f"bytes={HALF}-", '"one"')


def test_nobody_at_the_address_is_one_line(monkeypatch, tmp_path, listener):
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/file.csv"
        with pytest.raises(DataError, match=r"cannot be downloaded: .*refused") as caught:
            download(Download(url=url), tmp_path, listener)
    assert len(str(caught.value).splitlines()) == 1
    assert len(listener.said) == ATTEMPTS - 1


def test_a_length_that_is_no_number_is_no_length(server, bring):
    server.answers = [lambda handler: handler.answer(200, CONTENT, Content_Length="many")]
    assert bring() == SHA256


def test_a_redirect_is_followed_and_asked_for_the_rest_too(server, bring, tmp_path):
    def redirect(handler: _Handler) -> None:
        handler.answer(302, Location=server.url("elsewhere"), Content_Length=0)

    server.answers = [redirect, cut, redirect, rest]
    assert bring() == SHA256
    assert server.asked[-1] == (f"bytes={HALF}-", '"one"')


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/file.csv", "data:,x"])
def test_a_redirect_leads_to_web_addresses_only(server, bring, names, address):
    server.answers = [lambda handler: handler.answer(302, Location=address, Content_Length=0)]
    with pytest.raises(DataError, match=r"file\.csv: the server"):
        bring("")
    assert names() == set()


def test_a_redirect_from_https_to_http_is_refused():
    request = module.urllib.request.Request("https://example.org/file.csv")
    for safe in ("https://example.org/other", "HTTPS://example.org/other"):
        assert module._SafeRedirects().redirect_request(request, io.BytesIO(), 302, "", {}, safe) is not None
    with pytest.raises(DataError, match=r"sends on to http://example\.org/other, which is no safe address"):
        module._SafeRedirects().redirect_request(request, io.BytesIO(), 302, "", {}, "http://example.org/other")


def test_a_network_that_goes_down_is_a_cut_and_not_a_full_disk(server, bring, monkeypatch, tmp_path):
    server.answers = [whole, rest]
    read, calls = module.http.client.HTTPResponse.read, []

    def fail_in_the_middle(response, amount=None):
        calls.append(amount)
        if len(calls) == 2:
            raise OSError(113, "No route to host")
        return read(response, HALF if len(calls) == 1 else amount)

    monkeypatch.setattr(module.http.client.HTTPResponse, "read", fail_in_the_middle)
    assert bring() == SHA256
    assert server.asked == [(None, None), (f"bytes={HALF}-", '"one"')]


def test_a_new_beginning_forgets_the_old_bytes_before_it_remembers_the_new_file(server, bring, monkeypatch, tmp_path):
    """Killed in between, old bytes beside the mark of the new file would be continued with its rest."""
    server.answers = [cut, lambda handler: whole(handler, CONTENT[::-1], '"two"')]
    seen, write = [], module.Path.write_text

    def watch(path, *arguments, **options):
        seen.append((tmp_path / "file.csv.part").exists())
        return write(path, *arguments, **options)

    monkeypatch.setattr(module.Path, "write_text", watch)
    bring("")
    assert seen == [False, False]


def test_a_file_without_a_length_and_of_a_wrong_size_leaves_nothing(server, bring, names):
    server.answers = [lambda handler: handler.answer(200, CONTENT, ETag='"one"')]
    with pytest.raises(DataError, match=f"has {len(CONTENT)} bytes instead of 7"):
        bring("", 7)
    assert names() == set()
