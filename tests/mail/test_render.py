"""Every e-mail renders, escapes what people typed, and asks for nothing it is not given."""

from html.parser import HTMLParser

import pytest

from app.core.notices import CREDENTIAL_EVENTS, NoticeEvent
from app.mail import TemplateBroken, render
from app.mail.render import TEMPLATES_DIR, environment
from app.usecases.outbox import ACCOUNT_MAILS

EVIL = "<script>alert(1)</script>&\"'"
COMMON = {
    "addressee": EVIL,
    "home_url": "http://platform.test/",
    "preferences_url": "http://platform.test/ui/settings/notifications",
}
JOB = {
    "job_id": "j",
    "job_name": EVIL,
    "service_name": EVIL,
    "job_url": "http://platform.test/ui/jobs/j",
    "action_url": "http://platform.test/ui/settings/service-credentials",
    "results_url": "http://platform.test/api/jobs/j/results",
    "reason": EVIL,
    "way_out": EVIL,
}
CREDENTIAL = {
    "service_id": 1,
    "service_name": EVIL,
    "which": f"Your credential for {EVIL}",
    "ends": "1 June 2025, 12:00 UTC",
    "reason": EVIL,
    "action_url": "http://platform.test/ui/settings/service-credentials",
}
LINK = {
    "download_url": "http://platform.test/files/download/t/x.zip?a=1&b=2",
    "download_until": "1 June 2025, 12:00 UTC",
    "file_name": EVIL,
    "file_size": "1.0 MB",
}
ACCOUNT = {"username": EVIL, "valid_for": "1 hour", "link": "http://platform.test/ui/x?token=a&b=c"}


class Tags(HTMLParser):
    """Collects elements and checks that they are closed in order."""

    VOID = frozenset({"meta", "br", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def context(template: str) -> dict[str, object]:
    if template in ACCOUNT_MAILS:
        return {**COMMON, **ACCOUNT}
    if template in CREDENTIAL_EVENTS:
        return {**COMMON, **CREDENTIAL}
    return {**COMMON, **JOB, **(LINK if template == "job_completed" else {})}


ALL = [*NoticeEvent, *ACCOUNT_MAILS]


def test_templates_when_listed_then_there_is_a_folder_for_each_mail_and_no_other() -> None:
    folders = {path.name for path in TEMPLATES_DIR.iterdir() if path.is_dir()}
    assert folders == {str(name) for name in ALL}
    for name in folders:
        files = {path.name for path in (TEMPLATES_DIR / name).iterdir()}
        assert files == {"subject.txt", "body.txt", "body.html"}


@pytest.mark.parametrize("template", ALL)
def test_render_when_names_hold_markup_then_html_escapes_it_and_text_keeps_it(
    template: str,
) -> None:
    words = render(template, context(template))
    tags = Tags()
    tags.feed(words.html)
    tags.close()
    assert tags.open == []
    assert "script" not in tags.seen
    assert "alert(1)" in words.html
    assert EVIL in words.text
    assert "\n" not in words.subject
    assert words.subject
    assert all(link.startswith("http://platform.test/") for link in tags.links)
    assert "&lt;" not in words.text


@pytest.mark.parametrize("template", ALL)
def test_render_when_link_is_given_then_both_parts_hold_it(template: str) -> None:
    given = context(template)
    places = ("download_url", "link", "job_url", "action_url")
    link = next(str(given[place]) for place in places if place in given)
    words = render(template, given)
    tags = Tags()
    tags.feed(words.html)
    assert link in words.text
    assert link in tags.links


@pytest.mark.parametrize("template", ALL)
def test_render_when_something_is_missing_then_it_is_refused(template: str) -> None:
    needed = dict(context(template))
    of_credential = "which" if template in CREDENTIAL_EVENTS else "job_name"
    del needed["username" if template in ACCOUNT_MAILS else of_credential]
    with pytest.raises(TemplateBroken):
        render(template, needed)


def test_render_when_results_have_no_link_then_the_mail_tells_the_page_only() -> None:
    words = render("job_completed", {**COMMON, **JOB, **dict.fromkeys(LINK)})
    assert "without signing in" not in words.text + words.html
    assert JOB["job_url"] in words.text


def test_render_when_template_does_not_exist_or_climbs_then_it_is_refused() -> None:
    for name in ("nothing", "../../etc/passwd", ""):
        with pytest.raises(TemplateBroken):
            render(name, {})


def test_environment_when_html_is_rendered_then_it_escapes_by_itself() -> None:
    autoescape = environment().autoescape
    assert callable(autoescape)
    assert autoescape("x/body.html")
    assert not autoescape("x/body.txt")
