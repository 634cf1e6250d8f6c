"""Whose address a request counts for: what an untrusted hop writes changes nothing."""

import pytest
import tidegate
from tidegate._proxies import Proxies

CASES = [
    # trusted, header, peer, what the header says, the client
    (0, "x-forwarded-for", "198.51.100.7", "203.0.113.9", "198.51.100.7"),
    ([], "x-forwarded-for", "198.51.100.7", "203.0.113.9", "198.51.100.7"),
    (1, "x-forwarded-for", "10.0.0.1", "203.0.113.9", "203.0.113.9"),
    (1, "x-forwarded-for", "10.0.0.1", "6.6.6.6, 203.0.113.9", "203.0.113.9"),
    (2, "x-forwarded-for", "10.0.0.1", "6.6.6.6, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
    (2, "x-forwarded-for", "10.0.0.1", "203.0.113.9", "203.0.113.9"),
    (1, "x-forwarded-for", "10.0.0.1", None, "10.0.0.1"),
    (1, "x-forwarded-for", "10.0.0.1", "garbage", "10.0.0.1"),
    (2, "x-forwarded-for", "10.0.0.1", "6.6.6.6, garbage, 10.0.0.2", "10.0.0.2"),
    (1, "x-forwarded-for", "10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
    (1, "x-forwarded-for", "10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
    (1, "x-forwarded-for", "10.0.0.1", "2001:DB8::1", "2001:db8::1"),
    (1, "x-forwarded-for", "10.0.0.1", "fe80::1%eth0", "fe80::1"),
    (["10.0.0.0/8"], "x-forwarded-for", "198.51.100.7", "203.0.113.9", "198.51.100.7"),
    (["10.0.0.0/8"], "x-forwarded-for", "10.0.0.1", "203.0.113.9", "203.0.113.9"),
    (["10.0.0.0/8"], "x-forwarded-for", "::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
    (["10.0.0.0/8"], "x-forwarded-for", "10.0.0.1", "6.6.6.6, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
    (["10.0.0.0/8"], "x-forwarded-for", "10.0.0.1", "6.6.6.6, oops, 10.0.0.2", "10.0.0.2"),
    (["10.0.0.0/8"], "x-forwarded-for", "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
    (["fd00::/8"], "x-forwarded-for", "fd00::1", "203.0.113.9", "203.0.113.9"),
    (["unix"], "x-forwarded-for", None, "203.0.113.9", "203.0.113.9"),
    (["unix"], "x-forwarded-for", None, "6.6.6.6, 203.0.113.9", "203.0.113.9"),
    (["10.0.0.0/8"], "x-forwarded-for", None, "203.0.113.9", None),
    (1, "x-forwarded-for", None, "203.0.113.9", "203.0.113.9"),
    (0, "x-forwarded-for", None, "203.0.113.9", None),
    (1, "forwarded", "10.0.0.1", "for=203.0.113.9;proto=https", "203.0.113.9"),
    (1, "forwarded", "10.0.0.1", 'proto=https ; For="[2001:db8::1]:4711"', "2001:db8::1"),
    (1, "forwarded", "10.0.0.1", "for=6.6.6.6, for=203.0.113.9", "203.0.113.9"),
    (1, "forwarded", "10.0.0.1", "for=6.6.6.6, for=_hidden", "10.0.0.1"),
    (1, "forwarded", "10.0.0.1", "for=6.6.6.6, proto=https", "10.0.0.1"),
    (2, "forwarded", "10.0.0.1", "for=6.6.6.6, for=unknown, for=10.0.0.2", "10.0.0.2"),
    # A comma in a quoted string separates nothing.
    (1, "forwarded", "10.0.0.1", 'for=203.0.113.9;host="a, for=6.6.6.6"', "203.0.113.9"),
    # What is not in the form of the RFC says nothing.
    (1, "forwarded", "10.0.0.1", "for=203.0.113.9 by 6.6.6.6", "10.0.0.1"),
    (1, "forwarded", "10.0.0.1", "nonsense, for=203.0.113.9", "203.0.113.9"),
    # A quote that the client has left open, and what the proxy wrote behind it.
    (1, "forwarded", "10.0.0.1", 'for=6.6.6.6;x=", for="[2001:db8::1]:4711"', "10.0.0.1"),
    (1, "forwarded", "10.0.0.1", 'for=6.6.6.6;x=", for=203.0.113.9', "203.0.113.9"),
    (1, "cf-connecting-ip", "10.0.0.1", "203.0.113.9", "203.0.113.9"),
]


@pytest.mark.parametrize(("trusted", "name", "peer", "said", "client"), CASES)
def test_the_client_is_who_the_last_trusted_hop_saw(trusted, name, peer, said, client):
    headers = {"x-forwarded-for": "6.6.6.6", "forwarded": "for=6.6.6.6", name: said}
    assert Proxies(trusted, name.title()).client(peer, headers.get) == client


class Counted(str):
    """A text that counts how often one looks at it."""

    looked = 0

    def __getitem__(self, index):
        Counted.looked += 1
        return super().__getitem__(index)


@pytest.mark.parametrize("nonsense", ["a", " ", 'x="\\'])
def test_long_nonsense_is_passed_over_at_once(nonsense):
    """Servers take 60,000 characters of it: tried one by one they would be seconds."""
    Counted.looked = 0
    text = Counted(nonsense * 500 + ", for=203.0.113.9")
    assert Proxies(1, "forwarded").client("10.0.0.1", {"forwarded": text}.get) == "203.0.113.9"
    assert Counted.looked < 20


@pytest.mark.parametrize("wrong", [-1, ["10.0.0.1/8"], ["proxy.example"]])
def test_what_is_no_trust_is_refused(wrong):
    with pytest.raises(tidegate.ArgumentError, match="^trusted_proxies: ") as caught:
        Proxies(wrong, "x-forwarded-for")
    assert caught.value.field == "trusted_proxies" and "give " in caught.value.remedy


@pytest.mark.parametrize("wrong", [True, "10.0.0.0/8"])
def test_what_is_no_list_is_refused(wrong):
    with pytest.raises(TypeError, match="^trusted_proxies: expected a number of hops or a list"):
        Proxies(wrong, "x-forwarded-for")
