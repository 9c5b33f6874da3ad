"""The cast: alice owns things, bob is a colleague, charlie a stranger, and there is an administrator."""

from dataclasses import dataclass, field

import bcrypt

from app.core.models import User

PASSWORD = "correct horse 7"
PASSWORD_HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account and a sign-in token."""

    user: User
    token: str = field(repr=False)
    password: str = field(default=PASSWORD, repr=False)

    @property
    def id(self) -> int:
        return self.user.id
