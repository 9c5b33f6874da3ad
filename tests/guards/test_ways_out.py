"""Whatever is refused on a page, a person reads what to do, in the words of the page."""

import re
from urllib.parse import urlsplit

import pytest

from app.core.errors import AppError, FieldError, InvalidInput
from app.routes.pages.table import PAGES
from app.web.pages import Form
from app.web.ways_out import WAYS, at_page, plain, way_of
from tests.support.source import api_statuses

API_WORDS = re.compile(r"\b(GET|POST|PUT|PATCH|DELETE)\b|\bcurl\b|\bJSON\b|\w+_\w+|FIP_|`|«")


def test_ways_out_when_compared_with_the_codes_then_every_one_has_a_way() -> None:
    assert set(WAYS) == set(api_statuses())


@pytest.mark.parametrize("code", sorted(WAYS))
def test_way_out_when_read_then_it_is_a_sentence_without_words_of_the_api(code: str) -> None:
    way = WAYS[code]

    assert re.fullmatch(r"[A-Z].*[.!]", way.text)
    assert not API_WORDS.search(way.text)
    assert bool(way.href) == bool(way.label)


def test_links_of_ways_out_when_followed_then_they_are_pages() -> None:
    pages = {row.path for row in PAGES if row.is_page and row.method == "GET"}

    assert {urlsplit(way.href).path for way in WAYS.values() if way.href} <= pages


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("api_config: `app` must be an app id", "`app` must be an app id"),
        ("base_url is a plain http address", "The base URL is a plain http address"),
        ("Set it as «api_config.api_token»", "Set it as the shared token"),
        ("my_service_id.vcf.gz is too large", "my_service_id.vcf.gz is too large"),
    ],
)
def test_message_when_it_names_fields_of_the_api_then_people_read_words(
    said: str, told: str
) -> None:
    assert plain(said) == told


def test_form_when_refused_then_message_advice_and_fields_are_plain() -> None:
    error = InvalidInput(
        "service_id names no service",
        code="service_not_found",
        action="GET /services lists them.",
        errors=[FieldError("service_id", "service_id is unknown")],
    )
    form = Form().refuse(error)

    assert form.message == "The service names no service"
    assert form.action == WAYS["service_not_found"].text
    assert form.link is not None
    assert form.link.href == "/ui/services"
    assert form.errors == {"service_id": "The service is unknown."}
    assert at_page(error).action == form.action


def test_way_out_when_the_error_has_a_plain_one_then_that_is_kept_with_the_link() -> None:
    way = way_of(AppError("x", code="job_quota", action="Wait: 3 of 3 are open."))

    assert (way.text, way.href) == ("Wait: 3 of 3 are open.", "/ui/jobs")
