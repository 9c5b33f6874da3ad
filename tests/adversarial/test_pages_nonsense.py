"""Whatever stands in an address, a form or a header of a page: it is refused in words or left out, and never breaks anything."""

import re
from urllib.parse import quote

import msgspec
import pytest
from aiohttp import hdrs

from app.routes.pages.table import PAGES
from app.web.endpoint import PATH_PARAM, Endpoint
from tests.adversarial.wire import connect
from tests.guards.test_pages import FORM, HTMX, Places, cookie, shown
from tests.support.api import Answer, Api
from tests.support.people import Person

ODD = (
    "", "%00", "%ff%fe", "%ed%a0%80", "%E2%80%AE", "99999999999999999999", "-1", "1e400", "NaN", "%C2%B2", "%D9%A1",
    "0x1f", "[", "//[", "%0d%0aX-Injected:%20yes", quote("<script>alert(1)</script>"), "%5c%5cevil.test", "a" * 3000,
    "9999-12-31", "0001-01-01", "2026-13-45", "%25%25%27%22;--",
)  # fmt: skip
"""Each as it stands in a query or a form."""
NAMES = (
    "q", "id", "job", "service", "service_id", "services", "next", "done", "limit", "offset", "sort", "status", "since", "until",
    "group", "show", "kind", "window", "panel", "seen", "build", "from", "act", "back", "confirmed", "origin", "label", "username",
    "password", "email", "full_name", "country", "theme", "key", "known", "external_job_id", "api_token", "expires_at", "populations",
    "builds", "api_config", "base_url", "file", "do", "is_active", "role", "token", "ended", "action", "state",
)  # fmt: skip
ENDING = ("sign-out", "/delete", "/disable", "/retire", "/make-user", "password")
"""What would take away what the others need."""


def names_of(item: Endpoint) -> list[str]:
    """Give the names that a page may be asked with."""
    own = [field.encode_name for field in msgspec.structs.fields(item.query)] if item.query else []
    return list(dict.fromkeys([*own, *NAMES]))


def ensure_calm(answer: Answer, about: object) -> None:
    """Fail for what broke, or for what came back as something else than text."""
    # 503: no server is at an address that an administrator gave
    assert answer.status < 500 or answer.status == 503, (about, answer.status, answer.text[:2000])
    assert "X-Injected" not in answer.headers, about
    # the report, which stands in a frame as nobody's, has scripts; none of ours has
    is_ours = not answer.headers["Content-Security-Policy"].startswith("sandbox")
    assert not is_ours or "<script>alert(1)" not in answer.text, about


@pytest.mark.timeout(180)
async def test_pages_when_asked_with_nonsense_then_none_breaks(client: Api, places: Places) -> None:
    for item in PAGES:
        if item.method != "GET" or not item.path.startswith("/ui/"):
            continue
        path, person = places.of(item)
        for odd in ODD:
            query = "&".join(f"{name}={odd}&{name}={odd}" for name in names_of(item))
            # One name alone, too: with all of them the first that is refused hides the others.
            alone = (
                [f"{field.encode_name}={odd}" for field in msgspec.structs.fields(item.query)]
                if item.query
                else []
            )
            for asked in (query if len(query) < 7000 else f"q={odd[:3000]}", *alone):
                for headers in ({}, HTMX):
                    url = f"{path}?{asked}"
                    answer = await client.get(
                        url, is_raw=True, headers={**cookie(person), **headers}
                    )
                    ensure_calm(answer, (shown(item), asked[:200]))


@pytest.mark.timeout(180)
async def test_forms_when_sent_nonsense_then_none_breaks(client: Api, places: Places) -> None:
    for item in PAGES:
        if item.method != "POST" or any(word in item.path for word in ENDING):
            continue
        path, person = places.of(item)
        for odd in ODD:
            body = "&".join(f"{name}={odd}&{name}={odd}" for name in NAMES)
            for act in ("", "act=retry&", "do=save&", "do=test&"):
                answer = await client.post(
                    path, headers={**cookie(person), **FORM}, data=(act + body).encode()
                )
                ensure_calm(answer, (shown(item), odd[:50]))
                if "jobs/bulk" not in path and "credentials" not in path:
                    break
        for data, kind in (
            (b"\xff\xfe\x00=\xed\xa0\x80", FORM[hdrs.CONTENT_TYPE]),
            (b"a=" + b"x" * 300_000, FORM[hdrs.CONTENT_TYPE]),
            (b"&".join(b"a=1" for _ in range(1500)), FORM[hdrs.CONTENT_TYPE]),
            (b"{", "application/json"),
            (
                b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n',
                "multipart/form-data; boundary=x",
            ),
            (b"--x\r\n\r\n\r\n--x--\r\n", "multipart/form-data"),
        ):
            answer = await client.post(
                path, headers={**cookie(person), "Content-Type": kind}, data=data
            )
            ensure_calm(answer, (shown(item), kind, data[:20]))


IDS = (
    "0", "9" * 18, "9" * 40, "-1", "%00", "%ff", "..%2f..%2fetc", "%2e%2e", "[", "a" * 2000, "{id}", "%D9%A1",
    "00000000-0000-0000-0000-000000000000",
)  # fmt: skip


async def test_paths_when_ids_are_nonsense_then_none_breaks(client: Api, places: Places) -> None:
    for item in PAGES:
        if "{" not in item.path:
            continue
        _, person = places.of(item)
        for odd in IDS:
            path = PATH_PARAM.sub(odd, item.path)
            answer = await client.request(
                item.method,
                path,
                is_raw=True,
                headers={**cookie(person), **(FORM if item.method == "POST" else {})},
            )
            ensure_calm(answer, (shown(item), odd[:40]))


ADDRESSES = (
    "//evil.test/ui/", "/ui//", "/ui/%2e%2e/", "/ui/\\evil.test", "/ui/?%", "/ui/jobs?q=%", "http://evil.test/ui/", "http://[/ui/",
    "/ui/jobs?q=\xff", "*", "/ui/;x", "/%00", "/ui/%", "/ui/jobs/%zz",
)  # fmt: skip
HEADERS = (
    "Cookie: fip_session=\xff\xfe", "Cookie: fip_session=a.b.c", "Cookie: =;;;=", 'Cookie: fip_theme="><script>', "Referer: http://[",
    "Origin: http://[", "Sec-Fetch-Site: \xff", "Accept-Language: \xff", "HX-Request: \xff", "HX-Current-URL: http://[", "Host: [",
    "Host: evil.test", "If-None-Match: \xff", "X-Request-ID: <script>", "Last-Event-ID: \xff", "Accept-Encoding: \xff",
)  # fmt: skip


async def test_requests_when_bytes_are_odd_then_none_breaks(client: Api, alice: Person) -> None:
    sent = [(path, "Accept: text/html") for path in ADDRESSES]
    sent += [("/ui/jobs", line) for line in HEADERS]
    for method in ("GET", "POST"):
        for path, line in sent:
            host = "" if line.startswith("Host") else "Host: platform.test\r\n"
            signed = "" if line.startswith("Cookie") else f"Cookie: fip_session={alice.token}\r\n"
            text = f"{method} {path} HTTP/1.1\r\n{host}{signed}{line}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            async with connect(client.base) as wire:
                await wire.send(text.encode("latin-1"))
                said = (await wire.rest()).decode("utf-8", "replace")
            status = re.match(r"HTTP/1.[01] (\d+)", said)
            assert status is not None, (method, path, line, said[:200])
            assert int(status[1]) < 500, (method, path, line, said[:500])
            assert "<script>" not in said, (path, line)
            moved = re.search(r"(?im)^location: *(.*?)\r?$", said)
            assert moved is None or moved[1].startswith("/ui/"), (path, line, moved)
