"""httpx through a pacer: a transport for `httpx.Client` and `httpx.AsyncClient`.

>>> import httpx, tidegate, tidegate.httpx
>>> pacer = tidegate.Pacer("100/minute")
>>> client = httpx.Client(transport=tidegate.httpx.PacedTransport(pacer))
"""

from __future__ import annotations

import threading
from typing import Any

import httpx
from tidegate import _pacer_http, _retries
from tidegate._pacer import Pacer

__all__ = ["PacedTransport"]


class PacedTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Each request of a client goes through a pacer, redirects too.

    A request may have options of its own: `extensions={"tidegate": {"label": ..., "cost": ...}}`,
    as for `Pacer.with_options`. Without a label it has its method and URL, without the query.
    A request whose body can be sent only once is not retried: a refusal is `RetriesExhausted`.

    Parameters
    ----------
    pacer : Pacer
        Shared with whoever else has it.
    transport : httpx.BaseTransport or httpx.AsyncBaseTransport, optional
        What sends; `httpx.HTTPTransport()` or `httpx.AsyncHTTPTransport()` when left out.
        (A client that is given a transport does not look for proxies in the environment.)

    Warns
    -----
    RetryWarning
        When the transport retries by itself.

    Notes
    -----
    A login that answers a 401 with a better request (`httpx.DigestAuth`) needs a pacer with
    `max_unauthorized=2` or 0: by default one 401 opens the breaker.
    """

    def __init__(
        self,
        pacer: Pacer,
        transport: httpx.BaseTransport | httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._pacer = _pacer_http.is_pacer(pacer)
        self._transport = transport
        self._lock = threading.Lock()
        found = _retries.of_httpx(transport)
        if found is not None:
            _retries.warn_of(found)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        transport = self._sender(httpx.HTTPTransport)

        def attempt() -> httpx.Response:
            response: httpx.Response = transport.handle_request(request)
            if _is_small_refusal(response):
                response.read()
            return response

        return self._of(request).call(attempt)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        transport = self._sender(httpx.AsyncHTTPTransport)

        async def attempt() -> httpx.Response:
            response: httpx.Response = await transport.handle_async_request(request)
            if _is_small_refusal(response):
                await response.aread()
            return response

        return await self._of(request).call_async(attempt)

    def _sender(self, make: type[Any]) -> Any:
        # Only now it is known of which kind the client is; several threads may find out at once.
        with self._lock:
            if self._transport is None:
                self._transport = make()
            return self._transport

    def _of(self, request: httpx.Request) -> Pacer:
        url = request.url
        label = f"{request.method} {url.scheme}://{url.netloc.decode('ascii')}{url.path}"
        options = request.extensions.get("tidegate")
        return _pacer_http.for_request(self._pacer, label, _is_once(request), options)

    def close(self) -> None:
        if isinstance(self._transport, httpx.BaseTransport):
            self._transport.close()

    async def aclose(self) -> None:
        if isinstance(self._transport, httpx.AsyncBaseTransport):
            await self._transport.aclose()


def _is_once(request: httpx.Request) -> bool:
    """Streams are read once; multipart bodies rewind their files."""
    if isinstance(request.stream, httpx.ByteStream):
        return False
    return not request.headers.get("content-type", "").startswith("multipart/form-data")


def _is_small_refusal(response: httpx.Response) -> bool:
    length = response.headers.get("content-length")
    return _pacer_http.is_small_refusal(response.status_code, length)
