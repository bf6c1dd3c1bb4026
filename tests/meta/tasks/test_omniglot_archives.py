"""Archives are found, or downloaded from a real server on this machine."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hpo.errors import InputError
from hpo.meta.tasks import omniglot_archives
from hpo.meta.tasks.omniglot_archives import CHECKSUMS, archive

NAME = "all_runs.zip"
CONTENT = b"as published"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture(autouse=True)
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file on the server; nothing is cached, and HPO_DATA_DIR is not set."""
    path = tmp_path / "server/one-shot-classification" / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    monkeypatch.delenv("HPO_DATA_DIR", raising=False)
    monkeypatch.setenv("HPO_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setitem(CHECKSUMS, NAME, f"md5:{hashlib.md5(CONTENT).hexdigest()}")
    handler = functools.partial(Quiet, directory=str(tmp_path / "server"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        monkeypatch.setattr(omniglot_archives, "_REPOSITORY", f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield path
        server.shutdown()


def test_it_is_downloaded_once(published: Path, tmp_path: Path) -> None:
    first = archive(NAME)
    assert first == tmp_path / "cache/omniglot" / NAME
    assert first.read_bytes() == CONTENT
    published.unlink()
    assert archive(NAME) == first


def test_another_content_is_refused_and_not_kept(published: Path, tmp_path: Path) -> None:
    published.write_bytes(b"altered on the way")
    with pytest.raises(InputError, match="hash"):
        archive(NAME)
    assert not (tmp_path / "cache/omniglot" / NAME).exists()


@pytest.mark.parametrize("place", ["omniglot", "."])
def test_a_file_in_the_data_folder_is_preferred(
    place: str, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "data" / place / NAME
    own.parent.mkdir(parents=True)
    own.write_bytes(CONTENT)
    monkeypatch.setenv("HPO_DATA_DIR", str(tmp_path / "data"))
    assert archive(NAME) == own
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("data", "looked_for"),
    [(None, "HPO_DATA_DIR is not set"), ("/data", "there is no /data/omniglot/all_runs.zip or /data/all_runs.zip")],
)
def test_what_was_looked_for_and_what_to_do(data: str | None, looked_for: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if data:
        monkeypatch.setenv("HPO_DATA_DIR", data)
    monkeypatch.setattr(omniglot_archives, "_REPOSITORY", "http://127.0.0.1:1")
    with pytest.raises(InputError) as refused:
        archive(NAME)
    message = str(refused.value)
    assert message.startswith(f"tasks: Omniglot's {NAME} cannot be had: {looked_for}, and downloading it fails: HTTP")
    assert message.splitlines()[-1].startswith(f"put {omniglot_archives.url(NAME)} into a folder named omniglot")
