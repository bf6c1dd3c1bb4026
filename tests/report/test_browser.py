"""The dashboard in a real browser, as a person sees it."""

from __future__ import annotations

import html
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest

from hpo.report.access import Access
from hpo.report.dashboard import application
from hpo.report.dashboard_sync import sync
from hpo.report.server import bind

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "headless_shell")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,1600",
    "--virtual-time-budget=15000",
]
EVIL = "<img src=x onerror=alert(1)> **bold** [link](javascript:alert(1)) `code` | pipe\\"
TOKEN = "correct-horse-battery"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=f"no browser found: none of {', '.join(NAMES)} is installed")


class Site:
    """The dashboard of the filled study, and what the browser asked of it."""

    def __init__(self, url: str, profile: Path) -> None:
        self.url = url
        self.answers: dict[str, str] = {}
        self._profile = profile

    def page(self, path: str) -> str:
        """The page's elements once its scripts have run."""
        assert CHROMIUM is not None
        command = [CHROMIUM, *OPTIONS, f"--user-data-dir={self._profile}", "--dump-dom", self.url + path]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout


@contextmanager
def served(lab: Any, profile: Path, access: Access) -> Iterator[Site]:
    sync(lab.database, lab.study_id)
    storage = optuna.storages.get_storage(lab.database.optuna_storage)
    dashboard = access.guard(application(lab.database, storage))

    def recorded(environ: Any, start: Any) -> Iterable[bytes]:
        def record(status: str, *rest: Any) -> Any:
            found.answers[environ["PATH_INFO"]] = status
            return start(status, *rest)

        return dashboard(environ, record)

    with bind(0, recorded, access.host) as server:
        found = Site(server.url, profile)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def site(lab: Any, tmp_path: Path) -> Iterator[Site]:
    with served(lab, tmp_path / "profile", Access()) as found:
        yield found


@pytest.fixture
def guarded_site(lab: Any, tmp_path: Path) -> Iterator[Site]:
    with served(lab, tmp_path / "profile", Access("127.0.0.2", TOKEN)) as found:
        yield found


def test_the_page_of_a_study(site: Site) -> None:
    page = site.page("/studies/1")
    assert "few-shot languages (id=1)" in page
    assert "query_loss" in page
    figure = page[page.index('id="user-defined-plot:adaptation"') :]
    assert "Adaptation of the best trials" in figure
    assert "trial 2: 0.520 ± 0.012 (likely best)" in figure
    assert figure.count('class="js-line"') >= 10  # five trials, two panels


def test_the_note_of_a_study(site: Site) -> None:
    page = site.page("/studies/1/note")
    assert "<h1>few-shot languages</h1>" in page
    assert "learner.inner_lr</code>" in page


def test_the_page_of_a_trial(site: Site) -> None:
    page = site.page("/studies/1/trials?numbers=2")
    assert "Trial 2 (trial_id=3)" in page
    assert "<strong>0.520 ± 0.012</strong>" in page
    assert 'src="/hpo/adaptation/1/3.svg"' in page
    assert site.answers["/hpo/adaptation/1/3.svg"] == "200 OK"


def test_a_reason_full_of_markup_stays_text(site: Site) -> None:
    page = site.page("/studies/1/trials?numbers=4")
    assert html.escape(EVIL, quote=False) in page
    assert "<img src=x" not in page.replace('"', "")
    assert "javascript:" not in page.replace(html.escape(EVIL, quote=False), "")


def test_a_stranger_sees_the_login_page(guarded_site: Site) -> None:
    page = guarded_site.page("/studies/1")
    assert '<input id="token" name="token" type="password"' in page
    assert "few-shot" not in page
    assert "not the token" not in page
    assert "not the token" in guarded_site.page("/studies/1?token=wrong")


def test_the_link_of_the_terminal_logs_in(guarded_site: Site) -> None:
    page = guarded_site.page(f"/studies/1?token={TOKEN}")
    assert "few-shot languages (id=1)" in page
    assert guarded_site.answers["/api/studies/1"] == "200 OK"
    assert TOKEN not in page


SCRIPT = "<img src=x onerror=document.body.dataset.ran=1><script>document.body.dataset.ran=1</script>"


@pytest.mark.parametrize("path", ["", "/studies/2", "/studies/2/note", "/studies/2/trials?numbers=1"])
def test_what_a_name_or_a_reason_says_is_not_run(
    database: Any, make_lab: Callable[..., Any], tmp_path: Path, path: str
) -> None:
    lab = make_lab(database, name=SCRIPT)
    lab.ok(0.5)
    lab.failed(f"{SCRIPT}\n```\n{SCRIPT}")
    with served(lab, tmp_path / "profile", Access()) as site:
        page = site.page(path)
    assert html.escape(SCRIPT, quote=False) in page
    assert "data-ran" not in page
