"""Every page and every form's target, in one list."""

from app.routes.pages import accounts, home, settings, sign_in, static, users
from app.web.endpoint import Endpoint

PAGES: tuple[Endpoint, ...] = (
    *static.PAGES,
    *home.PAGES,
    *sign_in.PAGES,
    *accounts.PAGES,
    *settings.PAGES,
    *users.PAGES,
)
