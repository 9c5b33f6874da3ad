"""The accounts of the sandbox: one small file each, so that tokens can be issued beside a running server."""

import hashlib
import hmac
import secrets
import time
from pathlib import Path
from urllib.parse import quote

import msgspec

MAX_LOGIN_ATTEMPTS = 5  # cloudgene3 DatabaseAuthenticationProvider
LOCKED_S = 30 * 60.0

ROLE_USER = "User"  # cloudgene3 UserService.DEFAULT_ROLE
ROLE_ANONYMOUS = "Anonymous_User"  # accounts registered without an e-mail address
ROLE_ADMIN = "admin"


class Account(msgspec.Struct, kw_only=True):
    """A user as the server stores it. ``api_hash`` names the one API token that is current."""

    id: int
    username: str
    full_name: str = ""
    mail: str = ""
    roles: list[str] = []
    password: str = ""
    api_hash: str = ""
    api_expires_at: float = 0.0
    failed_logins: int = 0
    locked_until: float = 0.0

    @property
    def is_admin(self) -> bool:
        return ROLE_ADMIN in self.roles


def hash_password(password: str) -> str:
    """A salted scrypt hash, ``salt$digest`` in hex."""
    salt = secrets.token_bytes(16)
    return f"{salt.hex()}${_digest(password, salt).hex()}"


def matches_password(password: str, stored: str) -> bool:
    """Whether ``password`` is the one behind ``stored``; an empty store matches nothing."""
    salt, _, digest = stored.partition("$")
    if not digest:
        return False
    return hmac.compare_digest(_digest(password, bytes.fromhex(salt)).hex(), digest)


def _digest(password: str, salt: bytes) -> bytes:
    # Cheap on purpose: a sandbox's passwords guard nothing, and tests make many accounts.
    return hashlib.scrypt(password.encode(), salt=salt, n=2**10, r=8, p=1)


class Accounts:
    """The account files below a folder. Blocking; a file is replaced whole, so readers see old or new."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def find(self, username: str) -> Account | None:
        try:
            return msgspec.json.decode(self._path(username).read_bytes(), type=Account)
        except FileNotFoundError:
            return None

    def list_all(self) -> list[Account]:
        files = sorted(self._folder.glob("*.json"))
        return [msgspec.json.decode(f.read_bytes(), type=Account) for f in files]

    def create(
        self, username: str, *, password: str, full_name: str, mail: str, admin: bool = False
    ) -> Account:
        """A new account, its role as cloudgene3 ``UserService.registerUser`` gives it."""
        roles = [ROLE_USER if mail else ROLE_ANONYMOUS] + ([ROLE_ADMIN] if admin else [])
        account = Account(
            id=1 + max((a.id for a in self.list_all()), default=0),
            username=username,
            full_name=full_name,
            mail=mail,
            roles=roles,
            password=hash_password(password) if password else "",
        )
        self.save(account)
        return account

    def save(self, account: Account) -> None:
        path = self._path(account.username)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        temporary.write_bytes(msgspec.json.encode(account))
        temporary.chmod(0o600)
        temporary.replace(path)

    def log_in(self, username: str, password: str) -> Account:
        """The account, if the password is right; failures are counted and lock it for half an hour.

        Raises:
            PermissionError: with the server's own words (``DatabaseAuthenticationProvider``).
        """
        account = self.find(username)
        now = time.time()
        if account is None:
            raise PermissionError("Login Failed! Wrong Username or Password.")
        if account.failed_logins >= MAX_LOGIN_ATTEMPTS:
            if account.locked_until > now:
                raise PermissionError(
                    "The user account is locked for 30 minutes. Too many failed logins."
                )
            account.failed_logins = 0
        if not matches_password(password, account.password):
            account.failed_logins += 1
            if account.failed_logins >= MAX_LOGIN_ATTEMPTS:
                account.locked_until = now + LOCKED_S
            self.save(account)
            raise PermissionError("Login Failed! Wrong Username or Password.")
        account.failed_logins = 0
        self.save(account)
        return account

    def _path(self, username: str) -> Path:
        return self._folder / f"{quote(username, safe='')}.json"
