"""The health check of images: well is an answer of 200, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from nija_common.http.probe import main, trouble


class Answers(BaseHTTPRequestHandler):
    """200 at /livez, 503 elsewhere."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/livez" else 503)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        return


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_server_that_answers_200_is_well_and_any_other_is_not(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"{address}/livez"]) == 0
    assert capsys.readouterr().err == ""
    assert main([f"{address}/readyz"]) == 1
    assert capsys.readouterr().err == f"{address}/readyz: status 503\n"


def test_nobody_there_is_said_in_one_line(address: str) -> None:
    closed = "http://127.0.0.1:1/livez"
    assert trouble(closed) == f"{closed}: [Errno 111] Connection refused"


@pytest.mark.parametrize("url", ["https://127.0.0.1/livez", "127.0.0.1:8000", ""])
def test_what_is_no_http_url_is_refused(url: str) -> None:
    assert trouble(url) == f"not an http URL: {url}"


def test_it_takes_one_url(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
