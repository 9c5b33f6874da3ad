"""Accounts and tokens: signing in, the API token, registration, the profile."""

import asyncio
import json
import re
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from app.sandbox import tokens
from app.sandbox.accounts import Account
from app.sandbox.cloudgene import auth
from app.sandbox.cloudgene.errors import framework_error, wrapped
from app.sandbox.keys import ACCOUNTS, CONFIG

_FORM = "application/x-www-form-urlencoded"
_FORM_BYTES = 64 * 1024


async def log_in(request: web.Request) -> web.Response:
    """``POST /login``, form or JSON: an access token for a day (micronaut-security's bearer answer)."""
    fields = await _fields(request, also_json=True)
    if isinstance(fields, web.Response):
        return fields
    username, password = fields.get("username", ""), fields.get("password", "")
    try:
        account = await asyncio.to_thread(request.app[ACCOUNTS].log_in, username, password)
    except PermissionError as error:
        return framework_error(request, 401, str(error), message=str(error))
    token = await asyncio.to_thread(tokens.issue_login_token, request.app[CONFIG], account)
    return web.json_response(
        {
            "username": account.username,
            "roles": account.roles,
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": tokens.LOGIN_LIFETIME_S,
        }
    )


async def create_api_token(request: web.Request) -> web.Response:
    """``POST /api/v2/users/{user}/api-token?expiration=<days>``; the older token dies (``ApiTokenController``)."""
    identity = await auth.require(request, login=True)
    try:
        days = int(request.query["expiration"]) if "expiration" in request.query else None
    except ValueError:
        return framework_error(request, 400, "Failed to convert argument [expiration]")
    config, username = request.app[CONFIG], identity.account.username
    token = await asyncio.to_thread(tokens.issue_token, config, username, days)
    return wrapped(200, "Creation successful.", token=token, type="plain")


async def revoke_api_token(request: web.Request) -> web.Response:
    """``DELETE /api/v2/users/{user}/api-token``."""
    account = (await auth.require(request, login=True)).account
    account.api_hash, account.api_expires_at = "", 0.0
    await asyncio.to_thread(request.app[ACCOUNTS].save, account)
    return wrapped(200, "Token successfully revoked.")


async def verify(request: web.Request) -> web.Response:
    """``POST /api/v2/tokens/verify``: always 200; the message keeps its raw ``%s``, as in the original."""
    fields = await _fields(request)
    if isinstance(fields, web.Response):
        return fields
    config, accounts = request.app[CONFIG], request.app[ACCOUNTS]
    try:
        token = fields.get("token", "")
        identity = await asyncio.to_thread(tokens.identify, config, accounts, token)
    except tokens.Revoked:
        identity = None
    if identity is None or identity.kind != "api":
        body = _verified(False, "Invalid API Token.", None, datetime.now(UTC))
    else:
        expires = datetime.fromtimestamp(identity.expires_at, UTC)
        body = _verified(
            True, "API Token was created by %s and is valid.", identity.account, expires
        )
    return web.json_response(body)


async def profile(request: web.Request) -> web.Response:
    """``GET /api/v2/users/{any}/profile``: one's own, whatever the path names."""
    account = (await auth.require(request)).account
    expires = datetime.fromtimestamp(account.api_expires_at, UTC)
    valid = bool(account.api_hash) and expires > datetime.now(UTC)
    state = "will expire" if valid else "expired"
    return web.json_response(
        {
            "id": str(account.id),
            "username": account.username,
            "fullName": account.full_name,
            "mail": account.mail,
            "role": ",".join(account.roles).lower(),
            "admin": account.is_admin,
            "active": True,
            "loginAttempts": account.failed_logins,
            "lastLogin": "",
            "lockedUntil": "",
            "hasApiToken": bool(account.api_hash),
            "apiTokenValid": valid,
            "apiTokenMessage": f"API token {state} on {expires}." if account.api_hash else "",
        }
    )


async def register(request: web.Request) -> web.Response:
    """``POST /api/v2/users/register``: errors are 200 with ``success: false`` (``UserService.registerUser``)."""
    fields = await _fields(request)
    if isinstance(fields, web.Response):
        return fields
    error = await asyncio.to_thread(_register, request.app, fields)
    if error:
        return web.json_response({"success": False, "message": error})
    return wrapped(200, "User successfully created.")


def _register(app: web.Application, fields: dict[str, str]) -> str:
    accounts, username, mail = app[ACCOUNTS], fields.get("username", ""), fields.get("mail", "")
    password = fields.get("new-password", "")
    if error := _username_error(username):
        return error
    if accounts.find(username) is not None:
        return "Username already exists."
    if mail and "@" not in mail:
        return "Please enter a valid mail address."
    if mail and any(account.mail == mail for account in accounts.list_all()):
        return "E-Mail is already registered."
    if error := _password_error(password, fields.get("confirm-new-password", "")):
        return error
    if not fields.get("full-name"):
        return "The full name is required."
    accounts.create(username, password=password, full_name=fields["full-name"], mail=mail)
    return ""


def _username_error(username: str) -> str:
    if not username:
        return "The username is required."
    if len(username) < 4:
        return "The username must contain at least four characters."
    if not re.fullmatch(r"[A-Za-z0-9]+", username):
        return "Your username is not valid. Only characters A-Z, a-z and digits 0-9 are permitted."
    return ""


def _password_error(password: str, again: str) -> str:
    if not password or password != again:
        return "Please check your passwords."
    if len(password) < 6:
        return "Password must contain at least six characters!"
    for pattern, kind in (("[A-Z]", "uppercase letter"), ("[a-z]", "lowercase letter")):
        if not re.search(pattern, password):
            return f"Password must contain at least one {kind} (A-Z, a-z)!"
    if not re.search("[0-9]", password):
        return "Password must contain at least one number (0-9)!"
    return ""


async def _fields(
    request: web.Request, *, also_json: bool = False
) -> dict[str, str] | web.Response:
    """The fields of a small form, or the refusal to send (415, 413, 400)."""
    allowed = [_FORM, "application/json"] if also_json else [_FORM]
    if request.content_type not in allowed:
        types = ", ".join(allowed)
        detail = f"Content Type [{request.content_type}] not allowed. Allowed types: [{types}]"
        return framework_error(request, 415, detail)
    if (request.content_length or 0) > _FORM_BYTES:
        return framework_error(request, 413)
    if request.content_type == _FORM:
        posted = await request.post()
        return {name: value for name, value in posted.items() if isinstance(value, str)}
    try:
        body = json.loads(await request.text())
    except ValueError:
        return framework_error(request, 400, "Invalid JSON")
    return {str(k): str(v) for k, v in body.items()} if isinstance(body, dict) else {}


def _verified(
    valid: bool, message: str, account: Account | None, expire: datetime
) -> dict[str, Any]:
    return {
        "valid": valid,
        "message": message,
        "username": account.username if account else None,
        "name": account.full_name if account else None,
        "mail": account.mail if account else None,
        "expire": expire.isoformat(timespec="milliseconds"),
    }
