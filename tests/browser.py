"""Open a page in headless Chromium and measure it there: real layout, no network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from html import unescape
from pathlib import Path
from typing import Any

# At the top of a copy of the page: counts what the page asks of the network and reports what a reader gets.
PROBE = """<script>
  const seen = { blocked: 0, errors: [] };
  document.addEventListener("securitypolicyviolation", () => seen.blocked++);
  window.addEventListener("error", (event) => seen.errors.push(event.message));
  window.addEventListener("load", () => setTimeout(() => {
    seen.width = innerWidth;
    seen.scroll = document.documentElement.scrollWidth;
    seen.extra = (() => { %s })() ?? null;
    seen.requests = performance.getEntriesByType("resource").length;
    seen.text = document.body.innerText;
    parent.postMessage(JSON.stringify(seen), "*");
  }, 300));
</script>"""
# The page is shown in a frame of the wanted width: a browser's own window does not get as narrow as a phone.
FRAME = """<!doctype html><html><body><script>
  addEventListener("message", (event) => { document.documentElement.dataset.seen = event.data; });
</script><iframe src="%s" width="%d" height="900" style="border:0"></iframe></body></html>"""


def browser() -> str:
    """The installed Chromium; without one the test fails and says what to install."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "Chromium is needed to test pages: apt-get install chromium"
    return found


def measure(page: Path, width: int, script: str = "") -> dict[str, Any]:
    """Load the page at this width (pixels) and return what it is there.

    script: body of a function that is run after loading; what it returns is `extra`.
    Returns: width and scroll width (pixels), requests and blocked requests (counts), errors, text, extra.
    """
    html = page.read_text(encoding="utf-8")
    assert "<head>" in html, "the page has no <head>"
    probed, frame = page.with_name(f"probed-{width}.html"), page.with_name(f"frame-{width}.html")
    probed.write_text(html.replace("<head>", "<head>" + PROBE % script, 1), encoding="utf-8")
    frame.write_text(FRAME % (probed.name, width), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--dump-dom"]
    options += ["--virtual-time-budget=5000", "--window-size=1400,1000"]
    # Not beside the page: its lock files cannot be copied, and a shared study's folder is copied.
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        command = [browser(), *options, f"--user-data-dir={profile}", frame.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'data-seen="([^"]*)"', done.stdout)
    assert found, f"the page did not finish loading: {done.stderr[-500:]}"
    return json.loads(unescape(found[1]))
