"""Every page and every form's target, in one list."""

from app.routes.pages import (
    credentials,
    files,
    home,
    new_job,
    notifications,
    services,
    sign_in,
    static,
)
from app.web.endpoint import Endpoint

PAGES: tuple[Endpoint, ...] = (
    *static.PAGES,
    *home.PAGES,
    *sign_in.PAGES,
    *new_job.PAGES,
    *services.PAGES,
    *credentials.PAGES,
    *notifications.PAGES,
    *files.PAGES,
)
