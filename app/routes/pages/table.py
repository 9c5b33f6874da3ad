"""Every page and every form's target, in one list."""

from app.routes.pages import (
    accounts,
    admin,
    admin_panels,
    admin_services,
    credentials,
    files,
    home,
    new_job,
    notifications,
    services,
    settings,
    sign_in,
    static,
    users,
)
from app.web.endpoint import Endpoint

PAGES: tuple[Endpoint, ...] = (
    *static.PAGES,
    *home.PAGES,
    *sign_in.PAGES,
    *accounts.PAGES,
    *credentials.PAGES,
    *files.PAGES,
    *new_job.PAGES,
    *notifications.PAGES,
    *services.PAGES,
    *settings.PAGES,
    *users.PAGES,
    *admin.PAGES,
    *admin_services.PAGES,
    *admin_panels.PAGES,
)
