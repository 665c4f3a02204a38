"""See the built site in a real Chromium: search finds pages, and each fits a phone. `make docs` runs this.

    python tests/site_in_browser.py [site]

The browser opens a page of this file's own, which loads the site's pages in frames and posts what it saw. Only the
standard library is used: the site is built without the study's environment.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from browser import browser

QUERIES = {"tuned control": "statistics.html", "vllm": "serving.html", "sandbox forbidden": "sandbox.html"}
"""What a reader types, and a page that must be found."""
WIDTH = 390
LOOK = """<!doctype html><html><body><script>
const frame = async (address, seen) => {
  const box = Object.assign(document.createElement("iframe"), {src: address, width: %d, height: 900});
  document.body.append(box);
  await new Promise((done) => box.onload = done);
  const found = await seen(box.contentDocument);
  box.remove();
  return found;
};
const listed = async (page) => {  // waits for the worker that searches
  let found = [];
  for (let tries = 0; tries < 100 && !found.length; tries++) {
    await new Promise((done) => setTimeout(done, 100));
    found = [...page.querySelectorAll(".md-search-result__item > a")].filter((link) => link.offsetHeight);
  }
  return found.map((link) => new URL(link.href).pathname.slice(1));
};
(async () => {
  const seen = {wide: {}, found: {}};
  for (const page of %s)
    seen.wide[page] = await frame(page, (document) => document.documentElement.scrollWidth);
  for (const query of %s) seen.found[query] = await frame(`index.html?q=${encodeURIComponent(query)}`, listed);
  await fetch("seen", {method: "POST", body: JSON.stringify(seen)});
})();
</script></body></html>"""


class Handler(SimpleHTTPRequestHandler):
    """Serves the site, the page that looks at it, and takes what that page saw."""

    def __init__(self, *args, look: str, seen: queue.Queue, **options):
        self.look, self.seen = look, seen
        super().__init__(*args, **options)

    def do_GET(self) -> None:
        if self.path != "/look":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.look.encode())

    def do_POST(self) -> None:
        self.seen.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def look_at(site: Path) -> dict:
    """`wide`: scroll width by page (pixels), in a window of `WIDTH`; `found`: the pages that each query lists."""
    pages = sorted(page.relative_to(site).as_posix() for page in site.rglob("*.html") if page.name != "404.html")
    seen: queue.Queue = queue.Queue()
    look = LOOK % (WIDTH, json.dumps(pages), json.dumps(list(QUERIES)))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, look=look, seen=seen, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
        address = f"http://127.0.0.1:{server.server_port}/look"
        command = [browser(), *options, f"--user-data-dir={profile}", address]
        chromium = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return seen.get(timeout=120)
        finally:
            chromium.terminate()
            chromium.wait()
            server.shutdown()


def complaints(seen: dict) -> list[str]:
    """What a reader would miss, a line each."""
    return [
        f"{page} is {width} pixels wide in a window of {WIDTH}" for page, width in seen["wide"].items() if width > WIDTH
    ] + [
        f"A search for {query!r} does not list {page}, but {seen['found'][query]}."
        for query, page in QUERIES.items()
        if page not in seen["found"][query]
    ]


if __name__ == "__main__":
    found = look_at(Path(sys.argv[1] if len(sys.argv) > 1 else "site"))
    if wrong := complaints(found):
        sys.exit("\n".join(wrong))
    print(f"Seen in Chromium: {len(found['wide'])} pages fit {WIDTH} pixels, {len(QUERIES)} searches find their page.")
