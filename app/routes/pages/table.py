"""Every page and every form's target, in one list."""

from app.routes.pages import analyses, home, sign_in, static
from app.web.endpoint import Endpoint

PAGES: tuple[Endpoint, ...] = (
    *static.PAGES,
    *home.PAGES,
    *sign_in.PAGES,
    *analyses.PAGES,
)
