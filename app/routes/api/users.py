"""The own account."""

from app.routes.api.auth import UserOut
from app.usecases import accounts
from app.usecases.accounts import ProfileChange
from app.web.endpoint import Call, Endpoint


async def get_me(call: Call) -> UserOut:
    return UserOut.of(call.actor.user)


async def change_me(call: Call) -> UserOut:
    change: ProfileChange = call.body
    return UserOut.of(await accounts.update_profile(call.deps, call.actor, change))


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET", "/users/me", get_me, "users.get_me", "The own account", response=UserOut, tag="users"
    ),
    Endpoint(
        "PATCH",
        "/users/me",
        change_me,
        "users.change_me",
        "Change name, institution, country, e-mail address, or what one is told of",
        body=ProfileChange,
        response=UserOut,
        tag="users",
        per_minute=30,
    ),
)
