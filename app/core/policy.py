"""Who may use what that is not their own."""

from collections.abc import Mapping
from typing import Any

from app.core.errors import FieldError, InvalidInput
from app.core.models import Service, User


def may_use_shared(service: Service, user: User) -> bool:
    """Tell whether a service's shared credential may be used for this user: only where an administrator chose so.

    `shared_with` names roles and users: `{"roles": ["user"], "users": ["alice"]}`.
    """
    if service.credential_policy != "shared" or not user.is_active:
        return False
    names = [str(name).casefold() for name in service.shared_with.get("users", ())]
    return user.role in service.shared_with.get("roles", ()) or user.username.casefold() in names


def check_shared_with(value: Mapping[str, Any]) -> dict[str, list[str]]:
    """Give whom a credential is shared with, in the form that is stored. Raises InvalidInput."""
    known = {"roles", "users"}
    wrong = set(value) - known or any(
        not isinstance(value.get(name, []), list)
        or not all(isinstance(item, str) and 0 < len(item) <= 100 for item in value.get(name, []))
        for name in known
    )
    if wrong or not set(value.get("roles", [])) <= {"user", "admin"}:
        message = "must be an object with «roles» (of user, admin) and «users» (names), both arrays"
        raise InvalidInput(f"shared_with {message}", errors=[FieldError("shared_with", message)])
    return {name: list(value[name]) for name in ("roles", "users") if name in value}
