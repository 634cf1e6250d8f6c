"""Whose request it is, where proxies stand between: only what a trusted hop wrote is believed.

Each proxy adds the address that it was called from to the right end of a header. So the chain is read from the right,
beginning with the connection's own address, and only as far as the hops are trusted. What stands further left was
written by the client, and means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from tidegate._errors import ArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from ipaddress import IPv4Network, IPv6Network
    from typing import TypeAlias

    _Address: TypeAlias = IPv4Address | IPv6Address
    _Trust: TypeAlias = int | Iterable[str]

# A parameter of a `Forwarded` element, RFC 7239: a token or a quoted string.
_PARAMETER = re.compile(r'\s*([!#$%&\'*+.^_`|~\w-]+)=("(?:[^"\\]|\\.)*"|[^;,"\s]*)\s*')


class Proxies:
    """Which hops are trusted, and in which header they write.

    `trusted` is a number of hops, or their networks (`"10.0.0.0/8"`; `"unix"`: connections without an address).
    """

    __slots__ = ("_hops", "_networks", "_trusts", "_unix", "header")

    _networks: tuple[IPv4Network | IPv6Network, ...]

    def __init__(self, trusted: _Trust, header: str) -> None:
        if not isinstance(header, str):
            kind = type(header).__name__
            raise TypeError(f"forwarded_header: expected the name of a header, got {kind}")
        self.header = header.lower()
        self._hops, self._networks, self._unix = 0, (), False
        if isinstance(trusted, (bool, str, bytes)) or not isinstance(trusted, (int, Iterable)):
            raise TypeError(
                "trusted_proxies: expected a number of hops or a list of networks, "
                f"got {type(trusted).__name__}"
            )
        if isinstance(trusted, int):
            if trusted < 0:
                raise _refused(f"{trusted} hops", "give 0 or more")
            self._hops = trusted
        else:
            words = list(trusted)
            for word in words:
                if not isinstance(word, str):
                    kind = type(word).__name__
                    raise TypeError(f"trusted_proxies: expected networks as str, got {kind}")
            self._unix = "unix" in words
            self._networks = tuple(_network(word) for word in words if word != "unix")
        # A few proxies make all requests: their addresses are looked up once.
        self._trusts: Callable[[str], bool] = lru_cache(maxsize=1024)(self._in_networks)

    def client(self, peer: str | None, header: Callable[[str], str | None]) -> str | None:
        """The client's address; `peer` is the connection's, `header` reads a header of the request."""
        if not self._hops and not self._networks and not self._unix:
            return peer
        if self._hops:
            return self._by_hops(peer, self._chain(header))
        return self._by_networks(peer, self._chain(header))

    def _chain(self, header: Callable[[str], str | None]) -> list[str]:
        text = header(self.header)
        if not text:
            return []
        return _forwarded(text) if self.header == "forwarded" else text.split(",")

    def _by_hops(self, peer: str | None, chain: list[str]) -> str | None:
        client = peer
        for word in list(reversed(chain))[: self._hops]:
            address = plain_address(word)
            if address is None:
                break
            client = address
        return client

    def _by_networks(self, peer: str | None, chain: list[str]) -> str | None:
        client = peer
        for word in reversed(chain):
            if not (self._unix if client is None else self._trusts(client)):
                break
            address = plain_address(word)
            if address is None:
                break
            client = address
        return client

    def _in_networks(self, text: str) -> bool:
        address = _parse(text)
        return address is not None and any(address in network for network in self._networks)


def plain_address(text: str) -> str | None:
    """An address as it stands in a header, without port, brackets and zone; None when it is none."""
    address = _parse(text)
    return None if address is None else str(address)


def _parse(text: str) -> _Address | None:
    word = text.strip()
    if word.startswith("["):
        word = word[1:].partition("]")[0]
    elif word.count(":") == 1:
        word = word.partition(":")[0]
    try:
        address = ip_address(word.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _forwarded(text: str) -> list[str]:
    """The `for` of each element, in order; an element without one hides a hop, and nothing left of it counts."""
    elements, position = [""], 0
    while position < len(text):
        found = _PARAMETER.match(text, position)
        if found is not None and found.end() > position:
            name, value = found[1].lower(), found[2]
            if value.startswith('"'):
                value = re.sub(r"\\(.)", r"\1", value[1:-1])
            if name == "for":
                elements[-1] = value
            position = found.end()
        if text[position : position + 1] == ",":
            elements.append("")
        elif position < len(text) and text[position] != ";":
            elements[-1] = ""  # not in the form of the RFC: this hop says nothing
            # To the next element at once: looking at each character would take seconds for long nonsense.
            position = text.find(",", position)
            if position < 0:
                break
            continue
        position += 1
    return elements


def _network(word: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(word)
    except ValueError as error:
        remedy = 'give networks such as "10.0.0.0/8", addresses, or "unix"'
        raise _refused(str(error), remedy) from None


def _refused(problem: str, remedy: str) -> ArgumentError:
    return ArgumentError(f"trusted_proxies: {problem}; {remedy}", "trusted_proxies", remedy)
