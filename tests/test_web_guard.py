"""Who may ask the page's server: not other sites, not those without the token, and nobody for too much."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from web_clients import ADDRESS, Client, server

from clipgen.web.guard import COOKIE, is_loopback
from clipgen.web.routes import ROUTES

UNSAFE = [route for route in ROUTES if route.method != "GET"]
TOKEN = "open-sesame_7~"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with server(tmp_path / "outputs", starts=False) as client:
        yield client


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Client]:
    with server(tmp_path / "outputs", token=TOKEN, host="0.0.0.0", starts=False) as client:
        yield client


@pytest.mark.parametrize("route", UNSAFE, ids=lambda route: f"{route.method} {route.path}")
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": f"{ADDRESS}.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": ADDRESS},
    ],
    ids=str,
)
def test_nothing_is_changed_in_the_name_of_another_site(client: Client, route: object, headers: dict[str, str]) -> None:
    path = route.path.format(id="0", name="0")  # type: ignore[attr-defined]
    answer = client.http.request(route.method, path, headers=headers)  # type: ignore[attr-defined]
    assert answer.status_code == 403
    assert "refused" in answer.json()["error"]


def test_the_page_itself_may_ask(client: Client) -> None:
    own = {"Origin": ADDRESS, "Sec-Fetch-Site": "same-origin"}
    assert client.http.post("/api/jobs", json={"prompt": ""}, headers=own).status_code == 400  # it is understood
    assert client.get("/api/jobs", headers={"Sec-Fetch-Site": "none"}).status_code == 200


def test_another_site_can_link_to_the_page_and_include_nothing_of_it(client: Client) -> None:
    there = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/", headers=there).status_code in (200, 404)  # 404 without the page's files
    assert client.get("/api/jobs", headers=there).status_code == 403
    assert client.get("/", headers={**there, "Sec-Fetch-Mode": "no-cors"}).status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8384", "127.0.0.1.evil.example", "10.0.0.1", "", "[::"])
def test_names_that_others_control_are_refused(client: Client, host: str) -> None:
    answer = client.get("/api/jobs", headers={"Host": host})
    assert answer.status_code == 421
    assert "error" in answer.json()


@pytest.mark.parametrize("host", ["localhost:8384", "127.0.0.1:8384", "[::1]:8384", "LOCALHOST"])
def test_own_names_are_taken(client: Client, host: str) -> None:
    assert client.get("/api/jobs", headers={"Host": host}).status_code == 200


def test_beyond_loopback_addresses_are_taken_and_foreign_names_are_not(locked: Client) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert locked.get("/api/jobs", headers={**bearer, "Host": "192.168.1.7:8384"}).status_code == 200
    assert locked.get("/api/jobs", headers={**bearer, "Host": "evil.example"}).status_code == 421


@pytest.mark.parametrize("path", ["/", "/api/jobs", "/api/events", "/openapi.json", "/files/0/0", "/static/app.js"])
@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer open", "Basic b3Blbg=="])
def test_without_the_token_nothing_is_shown(locked: Client, path: str, authorization: str) -> None:
    answer = locked.get(path, headers={"Authorization": authorization} if authorization else {})
    assert answer.status_code == 401
    assert "token" in answer.json()["error"]


def test_the_token_in_the_address_becomes_a_cookie_that_scripts_cannot_read(locked: Client) -> None:
    assert locked.get("/", params={"token": "wrong"}).status_code == 401
    answer = locked.get("/", params={"token": TOKEN})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert locked.get("/api/jobs").status_code == 200  # the client keeps the cookie


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_bodies_are_limited(client: Client, route: object) -> None:
    path = route.path.format(id="0", name="0")  # type: ignore[attr-defined]
    limit = route.limit  # type: ignore[attr-defined]
    answer = client.http.request(route.method, path, content=b" " * (limit + 1))  # type: ignore[attr-defined]
    assert answer.status_code == 413
    assert "too large" in answer.json()["error"]


def test_every_answer_has_the_headers_that_protect_it(client: Client) -> None:
    for path in ("/", "/api/jobs", "/nowhere", "/files/0/0", "/static/none", "/openapi.json"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy or "sandbox" in policy
        assert "unsafe-inline" not in policy or "sandbox" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.8.8.8", True), ("0.0.0.0", False), ("::", False)],
)
def test_what_loopback_is(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
