"""What the page of a job shows, worded for its template."""

from datetime import datetime, timedelta
from typing import Any

from app.core.models import StatusUpdate
from app.core.phases import steps
from app.core.polling import poll_interval
from app.core.result_kinds import grouped
from app.core.scripts import download_script
from app.core.standing import Surroundings, standing, waits_for, way_out_of
from app.usecases.deps import Deps
from app.usecases.job_view import JobView
from app.web import looks
from app.web.looks import Look
from app.web.templating import duration, size

SHOWN_UPDATES = 12
_SHOWN_WHOLE = 16
"""So many changes are shown whole: a link to three more helps nobody."""
_LOG_TAIL = 40


def show(deps: Deps, view: JobView) -> dict[str, Any]:
    """Give what the template of a job and its parts need."""
    now, job = deps.now(), view.job
    files = grouped(view.files)
    return {
        "job": job,
        "view": view,
        "standing": standing(job, _around(deps, view, now), has_results=view.archive is not None),
        "way_out": way_out_of(job),
        "steps": steps(job, view.updates[::-1], now),
        "PHASE": looks.PHASE,
        "MARK": looks.MARK,
        "MESSAGE": looks.MESSAGE,
        "is_held": job.stage is not None and looks.STAGE[job.stage].tone == "warn",
        "groups": files,
        "has_plots": any(kind.key == "info" for kind, _ in files),
        "changes": changes(
            view.updates, _SHOWN_WHOLE if view.total_updates <= _SHOWN_WHOLE else SHOWN_UPDATES
        ),
        "messages": by_step(view),
        "log_tail": _log_tail(view),
        "ran_for": (job.completed_at or now) - job.started_at if job.started_at else None,
        "script": _script(deps, view),
    }


def changes(
    updates: list[StatusUpdate], limit: int
) -> list[tuple[StatusUpdate, Look, timedelta | None]]:
    """Give the newest changes with their looks, and how long each came after the one before it."""
    shown = []
    for place, update in enumerate(updates[:limit]):
        look = looks.STAGE[update.stage] if update.stage else looks.STATUS[update.status]
        older = updates[place + 1] if place + 1 < len(updates) else None
        shown.append((update, look, update.timestamp - older.timestamp if older else None))
    return shown


def by_step(view: JobView) -> list[tuple[str, list[Any]]]:
    """Give the messages, those in a row that belong to one step together."""
    together: list[tuple[str, list[Any]]] = []
    for message in view.messages:
        if not together or together[-1][0] != message.step:
            together.append((message.step, []))
        together[-1][1].append(message)
    return together


def signed_script(view: JobView, url: str) -> str:
    """Give the script that fetches the results by a link which needs no sign-in."""
    return download_script(url, _folder(view), view.sums, needs_token=False)


def _script(deps: Deps, view: JobView) -> str:
    if view.archive is None:
        return ""
    url = f"{deps.settings.base_url}/files/{view.archive.id}/download"
    return download_script(url, _folder(view), view.sums, needs_token=True)


def _folder(view: JobView) -> str:
    return f"{view.job.name[:60]}-{str(view.job.id)[:8]}"


def _around(deps: Deps, view: JobView, now: datetime) -> Surroundings:
    job, service = view.job, view.service
    unchanged_s = (now - job.updated_at).total_seconds()
    every_s = poll_interval(
        deps.settings.poll_interval_s or service.look_interval_s, max(0.0, unchanged_s)
    )
    wait_s = waits_for(job, now)
    kept_until = view.archive.expires_at if view.archive is not None else None
    return Surroundings(
        service=service.name,
        country=service.country or "",
        every=f"every {duration(every_s) if every_s > 1 else 'second'}",
        size=size(sum(item.size_bytes for item in view.detail.inputs)),
        since=_since(job.submitted_at or job.created_at),
        next_try=f"The next try comes in {duration(wait_s)}." if wait_s else "",
        kept=f"until {kept_until:%-d %B %Y}" if kept_until else "",
    )


def _log_tail(view: JobView) -> str:
    lines = [
        line
        for message in view.messages
        for line in f"[{message.step}] {message.level}: {message.text}".splitlines()
    ]
    return "\n".join(lines[-_LOG_TAIL:])


def _since(at: datetime) -> str:
    return f"{at:%-d %B, %H:%M} UTC"
