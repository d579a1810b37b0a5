"""The console's files: hashed assets cached for good, the page itself for every path of the single-page app."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from mimetypes import guess_type
from pathlib import Path

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

CONSOLE = Path(__file__).parent / "console"

_NOT_PAGES = ("api/", "v1/")
_INLINE_SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.S)

_NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Octavo</title>
<style>body{font:16px/1.5 system-ui;max-width:40rem;margin:15vh auto;padding:0 1rem}code{background:#8882;padding:.1em .3em}</style>
<h1>Octavo is running</h1><p>The console has not been built into this install. In a checkout run <code>make console</code>
(Node 20), or install a released wheel. The API is at <code>/api/v1</code>, the gateway at <code>/v1</code>.</p></html>"""


class Console:
    """Answers what no route takes: with a file of the console, or its page; `otherwise` refuses the rest."""

    def __init__(self, otherwise: ASGIApp, folder: Path = CONSOLE) -> None:
        self._otherwise = otherwise
        self._files = _Files(folder)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].lstrip("/") if scope["type"] == "http" else ""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD") or path.startswith(_NOT_PAGES):
            await self._otherwise(scope, receive, send)
            return
        known_tag = Headers(scope=scope).get("if-none-match")
        response = await to_thread.run_sync(self._files.answer, path, known_tag)
        if response is None:
            await self._otherwise(scope, receive, send)
        else:
            await response(scope, receive, send)


class _Files:
    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def answer(self, path: str, known_tag: str | None) -> Response | None:
        """The file or the page; None for a missing asset, which a page would only confuse."""
        found = self._find(path)
        if found is not None:
            return _file(found, known_tag, for_good=path.startswith("assets/"))
        if path.startswith("assets/"):
            return None
        page = self._folder / "index.html"
        if not page.is_file():
            return HTMLResponse(_NOT_BUILT, headers={"content-security-policy": _csp(_NOT_BUILT)})
        return _page(page, known_tag)

    def _find(self, path: str) -> Path | None:
        """The file that `path` names inside the folder, if any; the page is none of them."""
        try:
            found = (self._folder / path).resolve()
            if found.is_relative_to(self._folder) and found.is_file() and found.name != "index.html":
                return found
        except OSError:
            pass  # a name that no file can have
        return None


def _file(path: Path, known_tag: str | None, *, for_good: bool) -> Response:
    content = path.read_bytes()
    tag = _tag(content)
    headers = {
        "etag": tag,
        "cache-control": "public, max-age=31536000, immutable" if for_good else "no-cache",
    }
    if known_tag == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=guess_type(path.name)[0] or "application/octet-stream", headers=headers)


def _page(path: Path, known_tag: str | None) -> Response:
    content = path.read_bytes()
    tag = _tag(content)
    headers = {"etag": tag, "cache-control": "no-cache", "content-security-policy": _csp(content.decode())}
    if known_tag == tag:
        return Response(status_code=304, headers=headers)
    return HTMLResponse(content, headers=headers)


def _csp(page: str) -> str:
    """Scripts from here only, and the page's own inline ones by their hash. Styles are inline: Mantine writes them."""
    hashes = "".join(
        f" 'sha256-{b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in _INLINE_SCRIPT.findall(page)
    )
    return (
        f"default-src 'self'; script-src 'self'{hashes}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "font-src 'self' data:; media-src 'self' data: blob:; worker-src 'self' blob:; connect-src 'self'; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    )


def _tag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:20]}"'
