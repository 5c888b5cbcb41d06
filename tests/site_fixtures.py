"""Fixtures for tests of the site: one strict build per session, a local server, a browser that watches its requests."""

import functools
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
CHROMIUM = Path("/usr/bin/chromium")
_FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-background-networking --disable-component-update "
    "--disable-sync --no-first-run"
)


@pytest.fixture(scope="session")
def built_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up leaderboard and the real handwritten pages, built strictly with the real settings."""
    pytest.importorskip("material", reason="the site extra is not installed")
    import site_fakes
    from split_toys import toy_split

    from mitobench.benchmark.pages.learning import write_learning_page
    from mitobench.benchmark.pages.site import write_site_pages
    from mitobench.morphology.page import write_page

    root = tmp_path_factory.mktemp("site")
    write_site_pages(root / "docs", docs_in=REPOSITORY / "docs", **site_fakes.arguments(root / "leaderboard"))
    write_page(root / "docs", toy_split())
    write_learning_page(root / "docs", root / "nothing")
    config = {
        "INHERIT": str(REPOSITORY / "mkdocs.yml"),
        "theme": {"custom_dir": str(REPOSITORY / "mitobench/benchmark/pages/assets/theme")},
        "docs_dir": str(root / "docs"),
        "site_dir": str(root / "site"),
    }
    (root / "mkdocs.yml").write_text(json.dumps(config))
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-f", str(root / "mkdocs.yml")],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return root / "site"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def site_url(built_site: Path) -> Iterator[str]:
    """Address of a local server of the site."""
    handler = functools.partial(_Quiet, directory=str(built_site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=_FLAGS.split())
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Any, site_url: str) -> Iterator[Any]:
    """Opens a page of the site; at the end, no script has failed and nothing has left the site.

    Called as open_page("leaderboard.html", **options of the browser context).
    """
    contexts, troubles = [], []

    def request_seen(request: Any) -> None:
        if not request.url.startswith((site_url, "data:", "blob:")):
            troubles.append(f"request off the site: {request.url}")

    def request_failed(request: Any) -> None:
        if "ERR_ABORTED" not in str(request.failure):  # the page was left before it was loaded
            troubles.append(f"failed: {request.url}")

    def opened(path: str, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        context.set_default_timeout(30_000)
        contexts.append(context)
        context.on("request", request_seen)
        context.on("requestfailed", request_failed)
        page = context.new_page()
        page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: (troubles.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.goto(f"{site_url}/{path}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not troubles, troubles
