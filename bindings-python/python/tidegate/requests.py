"""requests through a pacer: an adapter to mount on a session.

>>> import requests, tidegate, tidegate.requests
>>> pacer = tidegate.Pacer("100/minute")
>>> session = requests.Session()
>>> session.mount("https://api.example.com/", tidegate.requests.PacedAdapter(pacer))
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import rewind_body
from tidegate import _pacer_http, _retries
from tidegate._pacer import Pacer

__all__ = ["PacedAdapter"]


class PacedAdapter(HTTPAdapter):
    """Each request of a session to what it is mounted on goes through a pacer, redirects too.

    Calls are labelled with method and URL, without the query, unless the pacer has a label. A
    request whose body can be sent only once (a generator, a file that cannot be rewound) is not
    retried: a refusal is `RetriesExhausted`.

    Parameters
    ----------
    pacer : Pacer
        Shared with whoever else has it.
    **options
        As for `requests.adapters.HTTPAdapter`.

    Warns
    -----
    RetryWarning
        When `max_retries` makes the adapter retry by itself.
    """

    def __init__(self, pacer: Pacer, **options: Any) -> None:
        self._pacer = _pacer_http.is_pacer(pacer)
        super().__init__(**options)
        found = _retries.of_adapter(self)
        if found is not None:
            _retries.warn_of(found)

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        attempts = 0

        def attempt() -> requests.Response:
            nonlocal attempts
            attempts += 1
            if attempts > 1 and _is_file(request):
                rewind_body(request)
            response = super(PacedAdapter, self).send(request, *args, **kwargs)
            if _is_small_refusal(response):
                _ = response.content  # read, and kept
            return response

        pacer = _pacer_http.for_request(self._pacer, _label(request), _is_once(request))
        return pacer.call(attempt)

    def __reduce_ex__(self, protocol: object) -> Any:
        raise TypeError("a PacedAdapter cannot be pickled or copied: its pacer lives in this process")


def _label(request: requests.PreparedRequest) -> str:
    url = urlsplit(request.url or "")
    return f"{request.method} {url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"


def _is_file(request: requests.PreparedRequest) -> bool:
    return request.body is not None and not isinstance(request.body, (str, bytes))


def _is_once(request: requests.PreparedRequest) -> bool:
    # requests notes where a file stands before it is sent; an int when it can be rewound.
    return _is_file(request) and not isinstance(getattr(request, "_body_position", None), int)


def _is_small_refusal(response: requests.Response) -> bool:
    length = response.headers.get("content-length")
    return _pacer_http.is_small_refusal(response.status_code, length)
