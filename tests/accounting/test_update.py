"""Fetching a catalogue over a real socket; what goes wrong leaves the file as it was."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from switchgear.accounting.update import default_url, update
from switchgear.cli import main

CONTENT = (Path(__file__).parent / "fixtures" / "catalogue.json").read_bytes()
CONFIG = """
providers: {openai: {credentials: [abc]}, local: {type: vllm, base_url: "http://127.0.0.1:1/v1"}}
keys: [{name: me, value: "0123456789abcdef"}]
price_catalogue: prices.json
prices:
  openai/flat: {request: 0.005, image: 0.04}
  openai/dated: [{input: 1, output: 2}, {from: 2026-02-01, input: 3, output: 4, batch: {input: 1.5}}]
"""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = {
            "/good": (200, CONTENT),
            "/moved": (302, b""),
            "/broken": (200, CONTENT[:-5]),
            "/page": (200, b"<html></html>"),
            "/missing": (404, b"no"),
        }[self.path]
        self.send_response(status)
        if status == 302:
            self.send_header("location", "/good")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def origin() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(CONFIG)
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["prices", *arguments])
    return result.exit_code, result.output


@pytest.mark.parametrize("path", ["/good", "/moved"])
def test_a_catalogue_is_put_in_place(origin: str, tmp_path: Path, path: str) -> None:
    file = tmp_path / "prices.json"
    file.write_bytes(b"old")
    catalogue = update(file, origin + path)
    assert file.read_bytes() == CONTENT
    assert catalogue.find("openai", "gpt-4.1") is not None
    assert [each.name for each in tmp_path.iterdir()] == ["prices.json"]
    assert file.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("path", ["/broken", "/page", "/missing"])
def test_anything_else_changes_nothing(origin: str, tmp_path: Path, path: str) -> None:
    file = tmp_path / "prices.json"
    file.write_bytes(b"old")
    with pytest.raises((OSError, ValueError)):
        update(file, origin + path)
    assert file.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["prices.json"]


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"."):
        update(tmp_path / "prices.json", "http://127.0.0.1:1/")
    with pytest.raises(OSError, match=r"."):
        update(tmp_path / "prices.json", "no address")


def test_the_default_is_the_projects_own_address() -> None:
    assert default_url().startswith("https://")


def test_the_command(origin: str, folder: Path) -> None:
    code, output = run("update", "--config", "c.yaml", "--url", f"{origin}/good")
    assert (code, output.split(",")[0]) == (
        0,
        f"prices.json: {sum(len(v['models']) for v in json.loads(CONTENT))} models",
    )
    assert (folder / "prices.json").read_bytes() == CONTENT
    assert run("update", "--config", "c.yaml", "--url", f"{origin}/missing") == (
        1,
        "Error: nothing was changed: the server answered with status 404\n",
    )
    assert (folder / "prices.json").read_bytes() == CONTENT


def test_without_a_file_to_put_it_in(folder: Path) -> None:
    (folder / "c.yaml").write_text(CONFIG.replace("price_catalogue: prices.json", ""))
    assert run("update", "--config", "c.yaml") == (
        1,
        "Error: the configuration names no file: add price_catalogue: prices.json\n",
    )


def test_check_tells_of_the_file(folder: Path) -> None:
    def check() -> tuple[int, str]:
        result = CliRunner().invoke(main, ["check", "c.yaml"])
        return result.exit_code, result.stdout

    assert "price_catalogue: not there yet: run `switchgear prices update`" in check()[1]
    (folder / "prices.json").write_bytes(CONTENT)
    assert "warnings" not in check()[1]
    (folder / "prices.json").write_bytes(b"[]")
    assert check() == (
        1,
        "configuration: price_catalogue: prices.json: not a price catalogue: it has no models\n",
    )


def test_show(folder: Path) -> None:
    (folder / "prices.json").write_bytes(CONTENT)
    code, output = run("show", "--config", "c.yaml", "openai/gpt-5.4")
    assert code == 0
    assert output.startswith("openai/gpt-5.4  genai-prices/")
    assert "\nabove 272000 input tokens\n  input           5.000000\n  cached_input    0.500000\n" in output
    code, output = run("show", "--config", "c.yaml", "openai/dated", "--at", "2026-02-01", "--format", "json")
    document = json.loads(output)
    assert (code, document["flagged"]) == (0, False)
    rates = document["usd_per_million"]
    assert (rates["usual"]["input"], rates["batch"]["input"], rates["batch"]["reasoning"]) == (3.0, 1.5, 4.0)
    code, output = run("show", "--config", "c.yaml", "openai/dated", "--at", "2026-01-31", "--format", "json")
    assert json.loads(output)["usd_per_million"]["usual"]["input"] == 1.0
    assert run("show", "--config", "c.yaml", "openai/flat")[1].endswith(
        "\nimage  0.040000 USD\n\nrequest  0.005000 USD\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("local/qwen3",), "local/qwen3: the price is not known"),
        (("gpt-4.1",), "expected the name of a configured provider, a slash and a model"),
        (("nobody/m",), "expected the name of a configured provider, a slash and a model"),
        (("openai/gpt-4.1", "--at", "soon"), "--at: expected a date such as 2026-01-31, or one with a time"),
    ],
)
def test_show_without_an_answer(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    (folder / "prices.json").write_bytes(CONTENT)
    assert run("show", "--config", "c.yaml", *arguments) == (1, f"Error: {message}\n")
