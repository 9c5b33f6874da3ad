"""The sign-in of a browser: the same token as the API's, in a cookie that scripts cannot read.

`SameSite=Lax` keeps it from other sites' forms and scripts, the cross-site refusal (`app.web.client`) from what is left. Behind
TLS it is `Secure` and named `__Host-…`, so that no neighbour under the same domain can set it (RFC 6265bis §4.1.3.2).
"""

from aiohttp import web

from app.settings import Settings
from app.usecases.accounts import SignIn

_NAME = "fip_session"


def cookie_name(settings: Settings) -> str:
    """Give the cookie's name."""
    return f"__Host-{_NAME}" if is_secure(settings) else _NAME


def is_secure(settings: Settings) -> bool:
    """Tell whether browsers reach us over TLS, as the public address says."""
    return settings.base_url.startswith("https://")


def read_token(request: web.Request, settings: Settings) -> str | None:
    """Give the token that the browser keeps, if it keeps one."""
    return request.cookies.get(cookie_name(settings)) or None


def remember(response: web.StreamResponse, settings: Settings, sign_in: SignIn) -> None:
    """Let the browser keep a sign-in, for as long as its token is good."""
    response.set_cookie(
        cookie_name(settings),
        sign_in.token,
        max_age=sign_in.expires_in_s,
        path="/",
        httponly=True,
        samesite="Lax",
        secure=is_secure(settings),
    )


def forget(response: web.StreamResponse, settings: Settings) -> None:
    """Let the browser forget its sign-in."""
    response.del_cookie(
        cookie_name(settings),
        path="/",
        httponly=True,
        samesite="Lax",
        secure=is_secure(settings),
    )
