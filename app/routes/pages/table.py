"""Every page and every form's target, in one list."""

from app.routes.pages import batches, dashboard, home, job_list, sign_in, static
from app.web.endpoint import Endpoint

PAGES: tuple[Endpoint, ...] = (
    *static.PAGES,
    *home.PAGES,
    *sign_in.PAGES,
    *dashboard.PAGES,
    *job_list.PAGES,
    *batches.PAGES,
)
