"""Guards over all pages: none is open, moved, or another person's by accident; all come with the headers that keep browsers strict.

`pages.txt` pins them; `python -m tests.guards.test_pages` writes it.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from app.routes.pages.table import PAGES
from app.routes.table import methods_of
from app.usecases.deps import Deps
from app.web.endpoint import PATH_PARAM, Access, Endpoint
from app.web.pages import HOME, POLICY, SIGN_IN
from tests.guards.conftest import OWNED_PAGES, Belongings, matches, state
from tests.support.api import Answer, Api
from tests.support.people import Person

PINNED = Path(__file__).with_name("pages.txt")
PUBLIC = frozenset(
    {
        # what this is, and how to get in; with the links that e-mails (and the first start) give
        "GET /ui/",
        "GET /ui/sign-in",
        "POST /ui/sign-in",
        "POST /ui/sign-out",
        "GET /ui/register",
        "POST /ui/register",
        "GET /ui/password-reset",
        "POST /ui/password-reset",
        "GET /ui/password-reset/{token}",
        "POST /ui/password-reset/{token}",
        "GET /ui/confirm-email/{token}",
        "POST /ui/confirm-email/{token}",
        "GET /ui/setup/{token}",
        "POST /ui/setup/{token}",
        # how pages look, and what they load
        "POST /ui/theme",
        "GET /static/{version}/{name}",
        # services, redacted
        "GET /ui/services",
        "GET /ui/services/{id}",
        # addresses that lead to pages
        "GET /",
        "GET /ui",
        "GET /admin",
        "GET /admin/",
        "GET /settings/service-credentials",
    }
)
# What whoever is signed in may name, besides what they own.
COMMON = ("/ui/services/{", "/ui/admin/", "/ui/jobs/new/")
PRIVATE = [item for item in PAGES if item.access is not Access.PUBLIC]
SHOWN_OF_ALICE = ("chr20 of my cohort", "chr20.dose.vcf.gz", "alice@example.org")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HTMX = {"HX-Request": "true"}
FOREIGN = (
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.test"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://neighbour.platform.test"},
    {"Origin": "null"},
    {"Referer": "http://evil.test/page"},
)


def shown(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.plain_path}"


def table() -> str:
    """Give what is pinned."""
    return "".join(f"{item.access:<7}{shown(item)}  {item.name}\n" for item in PAGES)


def example(endpoint: Endpoint) -> str:
    """Give a path with something in place of its parameters that is not there."""

    def fill(match: re.Match[str]) -> str:
        pattern = match[2] or "[^{}/]+"
        words: list[str] = re.findall(r"[a-z][a-z0-9_-]*", pattern)
        for value in ("4711", "0f3c1a52-5b1e-4a0c-9a2e-7d7f3b8e1c11", "x" * 40, "0" * 12, *words):
            if re.fullmatch(pattern, value):
                return value
        raise AssertionError(f"no example for {endpoint.path}")

    return PATH_PARAM.sub(fill, endpoint.path)


def is_owned(endpoint: Endpoint) -> bool:
    """Tell whether the path names a thing of somebody."""
    return endpoint.path.startswith(tuple(OWNED_PAGES))


def cookie(person: Person) -> dict[str, str]:
    """Give the headers of a browser at which somebody is signed in."""
    return {"Cookie": f"fip_session={person.token}"}


async def send(
    client: Api, endpoint: Endpoint, path: str, headers: dict[str, str], method: str = ""
) -> Answer:
    """Send what a browser sends: for a form's target, an empty form."""
    method = method or endpoint.method
    return await client.request(
        method, path, headers={**headers, **(FORM if method == "POST" else {})}
    )


def names_of(belongings: Belongings) -> dict[str, object]:
    """Give everything of alice's under every name that a query or a form may use for it."""
    ids = belongings.ids
    job, file, batch = ids["/jobs/{"], ids["/files/{"], ids["/batches/{"]
    names: dict[str, object] = dict.fromkeys(
        ("job", "jobs", "id", "ids", "from", "job_id", "retry_of"), (job, job)
    )
    names |= dict.fromkeys(("file", "files", "file_id", "input_file_id"), file)
    names |= dict.fromkeys(("batch", "batch_id"), batch)
    return names | {"notification": ids["/notifications/{"], "user": 1, "user_id": 1}


async def belongings_state(deps: Deps, person: Person) -> dict[str, object]:
    """Give everything that is stored of somebody, as one figure a table."""
    tables = (
        "imputation_jobs",
        "job_status_updates",
        "files",
        "notifications",
        "user_service_credentials",
        "batches",
    )
    return {
        table: await deps.pool.fetchval(
            f"select md5(string_agg(t::text, '|' order by t::text)) from {table} t where user_id = $1",
            person.id,
        )
        for table in tables
    }


@dataclass(frozen=True, slots=True)
class Places:
    """Paths to things that are there, and who may see them."""

    belongings: Belongings
    service_id: object
    alice: Person
    admin: Person

    def query(self) -> str:
        """Give what pages and parts may ask for besides."""
        jobs = [self.belongings.ids["/jobs/{"]] * 2
        return "?" + urlencode(
            {"id": self.service_id, "service": self.service_id, "job": jobs}, doseq=True
        )

    def of(self, endpoint: Endpoint) -> tuple[str, Person]:
        """Give a path of a page, and somebody who may see it."""
        person = self.admin if endpoint.access is Access.ADMIN else self.alice
        if is_owned(endpoint):
            return self.belongings.path(endpoint), person
        of_user = endpoint.path.startswith("/ui/admin/users/")
        values = {
            **self.belongings.parts,
            "change": "disable",
            "id": self.alice.id if of_user else self.service_id,
        }
        path = PATH_PARAM.sub(lambda match: str(values.get(match[1], "")), endpoint.path)
        return (path if matches(endpoint, path) else example(endpoint)), person


@pytest.fixture
async def places(belongings: Belongings, alice: Person, admin: Person) -> Places:
    return Places(belongings, belongings.parts["service_id"], alice, admin)


# The table


def test_pages_when_one_is_public_then_it_is_meant_to_be() -> None:
    public = {shown(item) for item in PAGES if item.access is Access.PUBLIC}

    assert public <= PUBLIC, sorted(public - PUBLIC)


def test_pages_when_the_table_changed_then_somebody_meant_it() -> None:
    assert table() == PINNED.read_text(), (
        "if that is meant: python -m tests.guards.test_pages, and look at what it changed"
    )


def test_pages_when_of_administration_then_for_administrators_alone() -> None:
    for item in PAGES:
        is_theirs = item.path.startswith("/ui/admin/")
        assert (item.access is Access.ADMIN) == is_theirs, shown(item)


def test_pages_when_a_path_names_something_then_it_is_known_whose_it_is() -> None:
    for item in PRIVATE:
        if "{" in item.path:
            assert is_owned(item) or item.path.startswith(COMMON), f"whose is it? {item.path}"


def test_pages_when_written_then_each_is_a_page_and_named_once() -> None:
    names = [item.name for item in PAGES]
    assert len(set(names)) == len(names)
    assert len({shown(item) for item in PAGES}) == len(PAGES)
    for item in PAGES:
        assert item.is_page, item.name
        assert item.summary, item.name
        assert item.name.startswith("pages."), item.name
        assert item.method in ("GET", "POST"), item.name
        assert item.method == "GET" or item.takes_form or item.raw_body, item.name


# Who may


async def test_pages_when_nobody_is_signed_in_then_they_lead_to_the_sign_in_and_back(
    client: Api,
) -> None:
    for item in PRIVATE:
        path = example(item)
        for method in methods_of(item):
            answer = await send(client, item, path, {}, method)
            assert answer.status == 303, f"{method} {path}: {answer.status}"
            back = f"?next={quote(path, safe='')}" if method != "POST" and path != HOME else ""
            assert answer.headers["Location"] == SIGN_IN + back, f"{method} {path}"


async def test_pages_when_a_part_is_asked_for_and_nobody_is_signed_in_then_401(
    client: Api,
) -> None:
    for item in PRIVATE:
        answer = await send(client, item, example(item), HTMX)
        assert answer.status == 401, f"{shown(item)}: {answer.status}"
        assert "<html" not in answer.text, shown(item)


async def test_pages_when_of_administrators_then_users_are_refused(
    client: Api, deps: Deps, places: Places, bob: Person
) -> None:
    before = await state(deps)
    for item in PAGES:
        if item.access is Access.ADMIN:
            answer = await send(client, item, places.of(item)[0], cookie(bob))
            assert answer.status == 403, f"{shown(item)}: {answer.status}"
            assert "text/html" in answer.headers["Content-Type"]
    assert await state(deps) == before


async def test_things_when_somebody_else_asks_then_their_pages_do_not_exist(
    client: Api,
    deps: Deps,
    belongings: Belongings,
    bob: Person,
    charlie: Person,
    admin: Person,
) -> None:
    before = await state(deps)
    for item in filter(is_owned, PAGES):
        path = belongings.path(item)
        for person in (bob, charlie, admin):
            for headers in ({}, HTMX):
                answer = await send(client, item, path, {**cookie(person), **headers})
                assert answer.status == 404, (
                    f"{person.user.username}: {item.method} {path}: {answer.status}"
                )
    assert await state(deps) == before


async def test_things_when_somebody_else_names_them_in_a_query_then_nothing_of_them_is_shown(
    client: Api, belongings: Belongings, bob: Person
) -> None:
    query = urlencode(names_of(belongings), doseq=True)
    for item in PAGES:
        if item.method == "GET" and item.path.startswith("/ui/") and not is_owned(item):
            answer = await send(client, item, f"{example(item)}?{query}", cookie(bob))
            assert answer.status < 500, f"{item.path}: {answer.status}"
            for word in SHOWN_OF_ALICE:
                assert word not in answer.text, f"{item.path} shows «{word}»"


async def test_things_when_somebody_else_names_them_in_a_form_then_nothing_of_them_changes(
    client: Api, deps: Deps, belongings: Belongings, alice: Person, bob: Person
) -> None:
    before = await belongings_state(deps, alice)
    acts = ("cancel", "delete", "retry", "read", "on")
    for item in PAGES:
        if item.method == "POST" and not is_owned(item) and item.takes_form:
            for act in acts if "bulk" in item.path else acts[:1]:
                data = urlencode(
                    {**names_of(belongings), "action": act, "act": act, "do": act}, doseq=True
                )
                path = PATH_PARAM.sub("1", item.path) if "{" in item.path else item.path
                answer = await client.post(path, headers={**cookie(bob), **FORM}, data=data)
                assert answer.status < 500, f"{item.path}: {answer.status}"
    assert await belongings_state(deps, alice) == before


async def test_pages_when_whoever_may_asks_then_they_are_there(client: Api, places: Places) -> None:
    for item in PAGES:
        is_there = "{" not in item.path or item.path.startswith("/ui/services/")
        if item.method == "GET" and (item.access is not Access.PUBLIC or is_there):
            path, person = places.of(item)
            answer = await send(client, item, path + places.query(), cookie(person))
            assert answer.status not in (401, 403, 404), f"{path}: {answer.status}"
            assert answer.status < 500, f"{path}: {answer.status}"


# Pages of other sites


async def test_forms_when_another_site_posts_with_the_cookie_then_all_refuse(
    client: Api, deps: Deps, places: Places
) -> None:
    before = await state(deps)
    for item in PAGES:
        if item.method == "POST":
            path, person = places.of(item)
            for headers in FOREIGN:
                answer = await send(client, item, path, {**cookie(person), **headers})
                assert answer.status == 403, f"{path} from {headers}: {answer.status}"
                assert "Set-Cookie" not in answer.headers
    assert await state(deps) == before


# Headers


def ensure_strict(path: str, answer: Answer) -> None:
    """Fail unless a browser may do with an answer what our pages need, and nothing else."""
    headers = answer.headers
    assert headers["X-Content-Type-Options"] == "nosniff", path
    policy = headers["Content-Security-Policy"]
    if headers.get("Content-Type", "").startswith("text/html"):
        # A service's own HTML stands in a frame of ours, as nobody's: no origin, no scripts.
        if policy.startswith("sandbox"):
            assert "allow-same-origin" not in policy, path
            assert headers["X-Frame-Options"] == "SAMEORIGIN", path
        else:
            assert policy == POLICY, path
            assert headers["X-Frame-Options"] == "DENY", path
            assert headers["Cache-Control"] == "no-store", path
        assert "HX-Request" in headers.get("Vary", "HX-Request"), path
    assert headers["Referrer-Policy"] in ("same-origin", "no-referrer"), path


def test_policy_when_written_then_nothing_inline_and_nothing_from_elsewhere() -> None:
    rules = dict(rule.strip().split(" ", 1) for rule in POLICY.split(";"))

    assert "unsafe" not in POLICY
    assert not re.search(r"https?:|\*", POLICY)
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    for name in ("base-uri", "frame-ancestors"):
        assert rules[name] == "'none'"
    assert rules["form-action"] == "'self'"


async def test_pages_when_answered_then_browsers_are_kept_strict(
    client: Api, places: Places
) -> None:
    for item in PAGES:
        if item.method == "GET":
            path, person = places.of(item)
            for headers in (cookie(person), {}):
                ensure_strict(path, await send(client, item, path, headers))


async def test_forms_when_sent_empty_then_they_say_what_is_wrong_and_nothing_breaks(
    client: Api, places: Places
) -> None:
    for item in PAGES:
        # Whatever ends what other forms need comes last.
        if item.method == "POST" and "sign-out" not in item.path and "delete" not in item.path:
            path, person = places.of(item)
            answer = await send(client, item, path, cookie(person))
            assert answer.status < 500, f"{path}: {answer.status}"
            ensure_strict(path, answer)


if __name__ == "__main__":
    PINNED.write_text(table())
