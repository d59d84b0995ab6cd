"""A server on the loopback device with an index and a page for each made-up article."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.formats.documents import make_page
from tests.formats.stories import Story


@contextmanager
def serve_pages(stories: Sequence[Story]) -> Iterator[str]:
    """Serve `/` with links to `/0.html` and so on, one a story; yield the address."""
    links = "".join(f'<li><a href="/{number}.html">{number}</a></li>' for number in range(len(stories)))
    pages: Mapping[str, bytes] = {
        "/": f"<!doctype html><html><body><ul>{links}</ul></body></html>".encode(),
        **{f"/{number}.html": make_page(story) for number, story in enumerate(stories)},
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.get(self.path)
            self.send_response(404 if page is None else 200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(page or b"")))
            self.end_headers()
            self.wfile.write(page or b"")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
