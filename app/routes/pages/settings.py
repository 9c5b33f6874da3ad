"""The own settings: profile, password, what one is told of, what was done with the account."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from aiohttp import hdrs, web

from app.core.deeds import GROUPS
from app.core.errors import AppError
from app.core.notices import CREDENTIAL_EVENTS, RULES, Channel, NoticeEvent, full_preferences
from app.usecases import accounts, audit
from app.usecases.accounts import ProfileChange
from app.web import session
from app.web.endpoint import Call, Endpoint, Paging
from app.web.pages import Form, action, page, render, see_other
from app.web.problem import status_of

PROFILE = "/ui/settings/profile"
PASSWORD = "/ui/settings/password"  # noqa: S105 - a path
NOTIFICATIONS = "/ui/settings/notifications"
AUDIT = "/ui/settings/audit"


class ProfileForm(msgspec.Struct, frozen=True, kw_only=True):
    """The profile as typed; what is empty is removed."""

    full_name: str | None = None
    institution: str | None = None
    country: str | None = None
    email: str = ""


class PasswordForm(msgspec.Struct, frozen=True, kw_only=True):
    current_password: str
    new_password: str


class AuditQuery(Paging, frozen=True, kw_only=True):
    """`group` is the first word of the acts; `since` a day, YYYY-MM-DD."""

    group: Annotated[str, msgspec.Meta(max_length=30)] | None = None
    since: Annotated[str, msgspec.Meta(max_length=10)] | None = None

    def day(self) -> datetime | None:
        """Give the day as a time; None for what is none."""
        try:
            return datetime.strptime(self.since or "", "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            return None


async def show_profile(call: Call) -> web.Response:
    user = call.actor.user
    known = ("full_name", "institution", "country", "email")
    form = Form(defaults={name: getattr(user, name) for name in known})
    return await render(call, "pages/profile.html", form=form)


async def change_profile(call: Call) -> web.Response:
    form = Form(call.fields)
    user = call.actor.user
    try:
        given = form.read(ProfileForm)
        is_new = bool(given.email) and given.email.lower() != (user.email or "").lower()
        change = ProfileChange(
            full_name=given.full_name,
            institution=given.institution,
            country=given.country,
            email=given.email if is_new else msgspec.UNSET,
        )
        await accounts.update_profile(call.deps, call.actor, change)
    except AppError as error:
        shown = form.refuse(error)
        return await render(call, "pages/profile.html", status=status_of(error), form=shown)
    return see_other(PROFILE, "email-pending" if is_new else "saved")


async def show_password(call: Call) -> web.Response:
    return await render(call, "pages/password.html", form=Form())


async def change_password(call: Call) -> web.Response:
    form = Form(call.fields)
    try:
        given = form.read(PasswordForm)
        signed_in = await accounts.change_password(
            call.deps, call.actor, given.current_password, given.new_password
        )
    except AppError as error:
        shown = form.refuse(error)
        return await render(call, "pages/password.html", status=status_of(error), form=shown)
    response = see_other(PASSWORD, "password-changed")
    session.remember(response, call.deps.settings, signed_in)
    return response


async def show_notifications(call: Call) -> web.Response:
    groups = {
        "Jobs": [event for event in NoticeEvent if event not in CREDENTIAL_EVENTS],
        "Credentials": [event for event in NoticeEvent if event in CREDENTIAL_EVENTS],
    }
    return await render(
        call,
        "pages/notification_settings.html",
        groups=groups,
        rules=RULES,
        channels=list(Channel),
        preferences=full_preferences(call.actor.user.notification_preferences),
    )


async def change_notifications(call: Call) -> web.Response:
    """Write all choices: a box that is not ticked is not sent."""
    ticked: Collection[str] = call.fields or {}
    preferences = {
        event.value: {channel.value: f"{event}.{channel}" in ticked for channel in Channel}
        for event in NoticeEvent
    }
    change = ProfileChange(notification_preferences=preferences)
    await accounts.update_profile(call.deps, call.actor, change)
    return see_other(NOTIFICATIONS, "saved")


async def show_audit(call: Call) -> web.Response:
    query: AuditQuery = call.query
    group = query.group if query.group in GROUPS else None
    day = query.day()
    entries, total = await audit.list_own(
        call.deps, call.actor, noun=group, since=day, limit=query.limit, offset=query.offset
    )
    return await render(
        call,
        "pages/audit.html",
        entries=entries,
        total=total,
        paging=query,
        group=group,
        since=f"{day:%Y-%m-%d}" if day else "",
        groups=GROUPS,
    )


async def lead_to_profile(_call: Call) -> web.Response:
    return web.Response(status=302, headers={hdrs.LOCATION: PROFILE})


PAGES: tuple[Endpoint, ...] = (
    page("/ui/settings", lead_to_profile, "settings", "Leads to the profile"),
    page(PROFILE, show_profile, "profile", "The own profile"),
    action(PROFILE, change_profile, "profile_post", "Change the profile", per_minute=30),
    page(PASSWORD, show_password, "password", "Change the password"),
    action(PASSWORD, change_password, "password_post", "Change the password"),
    page(NOTIFICATIONS, show_notifications, "notification_settings", "What one is told of"),
    action(
        NOTIFICATIONS,
        change_notifications,
        "notification_settings_post",
        "Change what one is told of",
    ),
    page(AUDIT, show_audit, "audit", "What was done with the own account", query=AuditQuery),
)
