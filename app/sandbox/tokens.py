"""Tokens as Cloudgene 3 makes them: HS256 JWTs, of which one API token per user is current.

Claims: cloudgene3 ``AuthenticationService.createApiToken`` and micronaut-security's defaults. A login
(access) token has no ``token_type``.
"""

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jwt

from app.sandbox.accounts import Account, Accounts
from app.sandbox.config import SandboxConfig

ISSUER = "cloudgene"
LOGIN_LIFETIME_S = 86_400
NEVER_S = 100 * 365 * 86_400  # what ``expiration=-1`` comes to
_FIXED = "fixed:"  # marks an account whose current API token is a configured text


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls, and with which kind of token."""

    account: Account
    kind: Literal["api", "access"]
    expires_at: float


class Revoked(Exception):
    """A genuine API token that a newer one has replaced: 403, where garbage is 401."""


def accounts_of(config: SandboxConfig) -> Accounts:
    """The accounts in the sandbox's data folder, with the configured ones made if missing."""
    accounts = Accounts(config.data_dir / "accounts")
    for token, user in config.users.items():
        account = accounts.find(user.username)
        if account is None:
            account = accounts.create(
                user.username,
                password=user.password,
                full_name=user.full_name,
                mail=user.mail,
                admin=user.admin,
            )
        if not account.api_hash:
            account.api_hash = _fixed_hash(token)
            account.api_expires_at = time.time() + NEVER_S
            accounts.save(account)
    demo = config.demo_user
    if demo is not None and accounts.find(demo.username) is None:
        accounts.create(
            demo.username,
            password=demo.password,
            full_name=demo.full_name,
            mail=demo.mail,
            admin=demo.admin,
        )
    return accounts


def issue_token(config: SandboxConfig, username: str, days: float | None = None) -> str:
    """A new API token of ``username``; the one before it stops working. Blocking.

    ``days`` absent means ``config.token_lifetime_s``, 0 a token already expired, -1 (practically) never.
    Works beside a running sandbox of the same data folder.

    Raises:
        LookupError: no such account.
    """
    lifetime_s = config.token_lifetime_s if days is None else days * 86_400
    if lifetime_s < 0:
        lifetime_s = NEVER_S
    accounts = accounts_of(config)
    account = accounts.find(username)
    if account is None:
        raise LookupError(f"the sandbox has no account {username!r}")
    account.api_hash = secrets.token_hex(15)
    account.api_expires_at = time.time() + lifetime_s
    accounts.save(account)
    claims = {
        "api_hash": account.api_hash,
        "mail": account.mail,
        "name": account.full_name,
        "username": username,
        "api": True,
        "token_type": "API_TOKEN",
    }
    return _sign(config, account, lifetime_s, claims)


def issue_login_token(config: SandboxConfig, account: Account) -> str:
    """The access token of ``POST /login``, good for a day. Blocking."""
    return _sign(config, account, LOGIN_LIFETIME_S, {})


def _sign(
    config: SandboxConfig, account: Account, lifetime_s: float, claims: dict[str, Any]
) -> str:
    now = int(time.time())
    standard: dict[str, Any] = {
        "sub": account.username,
        "nbf": now,
        "iat": now,
        "exp": now + int(lifetime_s),
        "iss": ISSUER,
        "roles": account.roles,
    }
    if config.dialect == "cloudgene2":  # its end, in milliseconds, under a name of its own
        standard["expire"] = standard.pop("exp") * 1000
    return jwt.encode({**standard, **claims}, _secret(config.data_dir), algorithm="HS256")


def identify(config: SandboxConfig, accounts: Accounts, token: str) -> Identity | None:
    """Whose token this is; None for anything that is not one of ours or has expired. Blocking.

    Raises:
        Revoked: ours and in time, but no longer the user's current API token.
    """
    fixed = config.users.get(token)
    if fixed is not None:
        account = accounts.find(fixed.username)
        if account is None or not hmac.compare_digest(account.api_hash, _fixed_hash(token)):
            raise Revoked
        return Identity(account=account, kind="api", expires_at=account.api_expires_at)
    try:
        claims = jwt.decode(token, _secret(config.data_dir), algorithms=["HS256"], issuer=ISSUER)
    except jwt.InvalidTokenError:
        return None
    account = accounts.find(str(claims["sub"]))
    ends = claims["exp"] if "exp" in claims else claims.get("expire", 0) / 1000
    if account is None or ends < time.time():
        return None
    if claims.get("token_type") != "API_TOKEN":
        return Identity(account=account, kind="access", expires_at=ends)
    if not account.api_hash or claims.get("api_hash") != account.api_hash:
        raise Revoked
    return Identity(account=account, kind="api", expires_at=ends)


def _fixed_hash(token: str) -> str:
    return _FIXED + hashlib.sha256(token.encode()).hexdigest()


def _secret(data_dir: Path) -> bytes:
    """The signing key, made at first use (mode 0600)."""
    path = data_dir / "jwt-secret"
    try:
        return path.read_bytes()
    except FileNotFoundError:
        data_dir.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        temporary.touch(mode=0o600)
        temporary.write_bytes(secrets.token_bytes(32))
        try:
            path.hardlink_to(temporary)  # only one of two racing first uses wins
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
        return path.read_bytes()
