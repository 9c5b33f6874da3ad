"""Every page and every form's target, in one list."""

from app.routes.pages import (
    accounts,
    analyses,
    batches,
    credentials,
    dashboard,
    files,
    home,
    job,
    job_acts,
    job_list,
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
    *analyses.PAGES,
    *batches.PAGES,
    *credentials.PAGES,
    *dashboard.PAGES,
    *files.PAGES,
    *job.PAGES,
    *job_acts.PAGES,
    *job_list.PAGES,
    *new_job.PAGES,
    *notifications.PAGES,
    *services.PAGES,
    *settings.PAGES,
    *users.PAGES,
)
