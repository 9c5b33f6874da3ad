"""A user is believed for a moment, and not a moment longer."""

from dataclasses import replace

import pytest

from app.core.errors import NotAuthenticated
from app.core.models import User
from app.usecases.accounts import authenticate
from app.usecases.deps import Deps
from app.usecases.recent import RecentUsers
from tests import factories


@pytest.fixture
async def believing(deps: Deps) -> Deps:
    """Believes a user for an hour."""
    return replace(deps, recent_users=RecentUsers(3600.0))


async def _sign_in(deps: Deps) -> tuple[User, str]:
    person = await factories.make_person(deps, "carla")
    return person.user, person.token


async def _end(deps: Deps, user: User) -> None:
    await deps.pool.execute(
        "update users set token_version = token_version + 1 where id = $1", user.id
    )


async def test_authenticate_when_reading_then_a_user_is_believed_until_all_are_forgotten(
    believing: Deps,
) -> None:
    user, token = await _sign_in(believing)
    assert (await authenticate(believing, token, "", is_reading=True)).user == user
    await _end(believing, user)
    assert (await authenticate(believing, token, "", is_reading=True)).user == user
    believing.recent_users.forget()
    with pytest.raises(NotAuthenticated):
        await authenticate(believing, token, "", is_reading=True)


async def test_authenticate_when_changing_something_then_the_row_is_read(believing: Deps) -> None:
    user, token = await _sign_in(believing)
    await authenticate(believing, token, "", is_reading=True)
    await _end(believing, user)
    with pytest.raises(NotAuthenticated):
        await authenticate(believing, token, "")


async def test_recent_users_when_forgotten_during_a_look_up_then_the_old_row_is_not_kept(
    deps: Deps,
) -> None:
    user, _ = await _sign_in(deps)
    users = RecentUsers(3600.0)
    epoch = users.epoch
    users.forget()
    users.keep(user, epoch, 1e12)
    assert users.find(user.id) is None


def test_recent_users_when_the_moment_is_over_then_nobody_is_known() -> None:
    users = RecentUsers(1.0)
    assert users.find(1) is None
