"""Which targets are taken, and whose address counts."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nija_common.errors import ErrorCode, NijaError
from nija_gateway.domain.addresses import UNKNOWN, client_address, counted_as
from nija_gateway.domain.paths import path_of

TRUSTED = tuple(ipaddress.ip_network(n) for n in ("10.0.0.0/8", "fd00::/8", "192.0.2.1"))


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"/", "/"),
        (b"/api/v1/a.b/c-d_e~f", "/api/v1/a.b/c-d_e~f"),
        (b"/%61dmin", "/admin"),
        (b"/%c3%bc", "/ü"),
        (b"/..a/.b", "/..a/.b"),
        (b"//a", "//a"),
        (b"/a%2561", "/a%61"),
    ],
)
def test_a_path_is_decoded_once(raw: bytes, path: str) -> None:
    assert path_of(raw, b"") == path


@pytest.mark.parametrize(
    "raw",
    (
        "|a|/a b|/a\\b|/a\x00|/\xff|/a?b|/a#b|/%|/%4|/%zz|/%0|/%+1|/%00|/%2f|/%2F|/%5c|/%2e|/%2E%2e/x|/%7f|/%0a|/%ff"
        "|/..|/.|/a/../b|/a/.|/a/./b|/" + "a" * 9000
    ).split("|"),
)
def test_a_path_that_could_mean_two_things_is_refused(raw: str) -> None:
    with pytest.raises(NijaError) as refusal:
        path_of(raw.encode("latin-1"), b"")
    assert refusal.value.code is ErrorCode.VALIDATION_ERROR


@given(st.binary(max_size=40))
def test_no_bytes_make_a_path_with_a_dot_segment_or_a_control_character(raw: bytes) -> None:
    try:
        path = path_of(b"/" + raw, b"")
    except NijaError:
        return
    assert not {".", ".."} & set(path.split("/"))
    assert "\\" not in path and not any(ord(c) < 0x20 or ord(c) == 0x7F for c in path)
    assert path.count("/") == (b"/" + raw).count(b"/")


@pytest.mark.parametrize(
    ("peer", "forwarded", "wanted"),
    [
        ("198.51.100.1", [], "198.51.100.1"),
        ("198.51.100.1", ["203.0.113.9"], "198.51.100.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["6.6.6.6, 203.0.113.9, 10.2.2.2"], "203.0.113.9"),
        ("10.0.0.1", ["6.6.6.6, 203.0.113.9", "10.2.2.2"], "203.0.113.9"),
        ("10.0.0.1", ["10.9.9.9, 10.2.2.2"], "10.9.9.9"),
        ("10.0.0.1", ["203.0.113.9, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9, nonsense, 10.2.2.2"], "10.2.2.2"),
        ("10.0.0.1", ["203.0.113.9:4711"], "203.0.113.9"),
        ("fd00::1", ["[2001:db8::7]:443"], "2001:db8::7"),
        ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("192.0.2.1", ["203.0.113.9"], "203.0.113.9"),
        (None, ["203.0.113.9"], UNKNOWN),
        ("testclient", [], UNKNOWN),
    ],
)
def test_the_address_is_the_right_most_one_that_nobody_trusted_says(
    peer: str | None, forwarded: list[str], wanted: str
) -> None:
    assert client_address(peer, forwarded, TRUSTED) == wanted


def test_without_trusted_proxies_nothing_is_believed() -> None:
    assert client_address("10.0.0.1", ["203.0.113.9"], ()) == "10.0.0.1"


def test_ipv6_counts_by_64_ipv4_by_itself() -> None:
    assert counted_as("2001:db8:1:2:3::1") == counted_as("2001:db8:1:2:ffff::9") != counted_as("2001:db8:1:3::1")
    assert counted_as("203.0.113.9") == "203.0.113.9"
