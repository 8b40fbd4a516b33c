"""Checks every request, and sets the security headers of every answer.

The server listens on this machine only, but any page in a browser there can send requests to it. So three headers are
checked. The Host has to be this server's, or else a name that resolves to this machine could read answers. Requests
that change anything have to come from the server's own page (Origin). So do requests that cost computing time
(Sec-Fetch-Site). The size of a body and the time in which it has to arrive are limited.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_SECONDS = 120.0
"""In which a request has to be here as a whole."""

_SAFE = {"GET", "HEAD"}

_OWN_SITES = {"same-origin", "none"}
"""What browsers say of a request by the page itself, and of one by the person. Other programs say nothing."""

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


_TOO_LARGE = (413, "the request is too large")
_TOO_SLOW = (408, "the request did not arrive as a whole; send it again")


class _RefusedError(Exception):
    """A body is not taken; its arguments are the answer's status and detail."""


class Guard:
    """An ASGI application in front of another.

    Args:
        app: The other.
        port: The port that the server listens on.
        max_bytes: The most bytes of a body.
        body_seconds: The most time from the first look at a body to its end.
    """

    def __init__(self, app: ASGIApp, port: int, max_bytes: int, body_seconds: float = BODY_SECONDS) -> None:
        self._app = app
        names = ("127.0.0.1", "localhost")
        self._hosts = {f"{name}:{port}" for name in names} | (set(names) if port == 80 else set())  # browsers omit :80
        self._max_bytes = max_bytes
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application answer."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # a web socket, of which there are none
            await send({"type": "websocket.close", "code": 1008})
            return
        refusal = self._refusal(scope)
        begun = False

        async def marked(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        if refusal is not None:
            await _answer(marked, *refusal)
            return
        try:
            await self._app(scope, self._bounded(receive), marked)
        except ClientDisconnect:  # who left gets no answer
            return
        except _RefusedError as error:
            if not begun:
                await _answer(marked, *error.args)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = scope["headers"]
        hosts = _values(headers, b"host")
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return 403, "this server answers to 127.0.0.1 and localhost only"
        if scope["path"].startswith("/api/") and not _OWN_SITES.issuperset(_values(headers, b"sec-fetch-site")):
            return 403, "this server's own page alone is answered"
        if scope["method"] not in _SAFE:
            origins = _values(headers, b"origin")
            if len(origins) != 1 or origins[0] != f"http://{hosts[0]}":
                return 403, "changes are made from this server's own page only"
        for length in _values(headers, b"content-length"):
            if not length.isdecimal() or int(length) > self._max_bytes:
                return _TOO_LARGE
        return None

    def _bounded(self, receive: Receive) -> Receive:
        received, whole, deadline = 0, False, None

        async def bounded() -> Message:
            nonlocal received, whole, deadline
            if whole:  # what comes now is that the other side leaves
                return await receive()
            deadline = deadline or asyncio.get_running_loop().time() + self._body_seconds
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError as error:
                raise _RefusedError(*_TOO_SLOW) from error
            received += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if received > self._max_bytes:
                raise _RefusedError(*_TOO_LARGE)
            return message

        return bounded


def _values(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key == name]


async def _answer(send: Send, status: int, detail: str) -> None:
    body = json.dumps({"detail": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
