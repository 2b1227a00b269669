"""The identity of runs: all names of one server mean the same server, and no two servers are confused."""

from __future__ import annotations

from itertools import combinations

import pytest

from runtui.graph.root import run_key, same_server, server_key

NAMES = [
    [
        "http://localhost:8080/beta",
        "http://127.0.0.1:8080/beta",
        "http://127.9.9.9:8080/beta/",
        "http://[::1]:8080/v1.0",
        "http://[0:0:0:0:0:0:0:1]:8080/v2.0",
        "https://LOCALHOST:8080/Beta",
        "http://localhost:8080",
    ],
    ["http://localhost/beta", "http://127.0.0.1:80/v1.0"],
    ["http://localhost:8081/beta"],
    ["https://graph.microsoft.com/beta", "https://graph.microsoft.com/v1.0", "HTTPS://Graph.Microsoft.com:443/V1.0/"],
    ["https://graph.microsoft.us/beta"],
    ["https://gateway.example/graph/beta", "https://gateway.example/Graph/v1.0"],
    ["https://gateway.example/other/beta"],
    ["https://gateway.example/betatest"],
    ["https://[2001:db8::1]/beta", "https://[2001:0db8:0:0::1]/v1.0"],
    ["https://[2001:db8::2]/beta"],
    ["http://[broken"],
    ["http://localhost:port/beta"],
    [""],
]
"""Servers, each with all its names."""


@pytest.mark.parametrize("names", NAMES, ids=lambda names: names[0])
def test_all_names_of_a_server_are_one_server(names: list[str]) -> None:
    assert {server_key(name) for name in names} == {server_key(names[0])}
    assert all(same_server(one, other) for one, other in combinations(names, 2))


def test_no_two_servers_are_one() -> None:
    keys = [server_key(names[0]) for names in NAMES]
    assert len(set(keys)) == len(keys)


def test_ids_are_one_run_in_whatever_case() -> None:
    upper, lower = "B8871C1D-2F13-4EAD-B04F-25748D4957B4_639", "b8871c1d-2f13-4ead-b04f-25748d4957b4_639"
    assert run_key(upper) == run_key(lower) == lower
    assert run_key(lower) != run_key(f"{lower[:-1]}8")
