"""aiohttp's client through a pacer: a middleware (aiohttp 3.12 or newer).

>>> import aiohttp, tidegate, tidegate.aiohttp
>>> pacer = tidegate.Pacer("100/minute")
>>> paced = tidegate.aiohttp.PacedMiddleware(pacer)
>>> session = aiohttp.ClientSession(middlewares=[paced])  # doctest: +SKIP
"""

from __future__ import annotations

from typing import Any

import aiohttp
from aiohttp.payload import AsyncIterablePayload, IOBasePayload
from tidegate import _pacer_http
from tidegate._pacer import Pacer

__all__ = ["PacedMiddleware"]


class PacedMiddleware:
    """Each request of a session goes through a pacer, redirects too.

    Put it last among `middlewares`: what comes after it is run again with each attempt. Calls are
    labelled with method and URL, without the query, unless the pacer has a label. A request whose
    body can be sent only once is not retried: a refusal is `RetriesExhausted`.

    Parameters
    ----------
    pacer : Pacer
        Shared with whoever else has it.
    """

    def __init__(self, pacer: Pacer) -> None:
        self._pacer = _pacer_http.is_pacer(pacer)

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        async def attempt() -> aiohttp.ClientResponse:
            response = await handler(request)
            length = response.headers.get("content-length")
            if _pacer_http.is_small_refusal(response.status, length):
                await response.read()
            return response

        url = request.url
        port = "" if url.is_default_port() else f":{url.port}"
        label = f"{request.method} {url.scheme}://{url.host}{port}{url.path}"
        pacer = _pacer_http.for_request(self._pacer, label, _is_once(request.body))
        return await pacer.call_async(attempt)


def _is_once(body: Any) -> bool:
    """Can it be sent once only?"""
    if isinstance(body, aiohttp.MultipartWriter):
        return any(_is_once(part) for part, *_ in body)
    if isinstance(body, IOBasePayload):
        return not body._value.seekable()
    return isinstance(body, AsyncIterablePayload)
