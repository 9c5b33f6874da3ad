"""Pages: rows of the route table that answer in HTML, the forms on them, and what a person sees when something is refused.

A form is posted, judged, and either answered with a redirect (303) or shown again with what was typed and what is wrong. Nothing
that was typed into a secret field is ever sent back.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec
from aiohttp import hdrs, web
from multidict import MultiDict, MultiMapping

from app.core.errors import AppError, FieldError, InvalidInput, NotAuthenticated
from app.keys import ACTOR, DEPS, REQUEST_ID
from app.usecases.notices import count_unread
from app.web import problem
from app.web.endpoint import Access, Call, Endpoint, Handler
from app.web.reading import is_text
from app.web.templating import render as render_template
from app.web.ways_out import Way, plain, way_of

HOME = "/ui/"
SIGN_IN = "/ui/sign-in"
THEME_COOKIE = "fip_theme"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self';"
    " frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""For every page of ours: everything from here, nothing inline. Pico's style draws its arrows from `data:` images."""
SECRETS = frozenset({"password", "current_password", "new_password", "api_token", "token"})
"""Fields whose content is never shown again."""
_COMPRESS_FROM_BYTES = 2048

T = TypeVar("T", bound=msgspec.Struct)


def page(
    path: str,
    handler: Handler,
    name: str,
    summary: str,
    *,
    access: Access = Access.USER,
    query: Any = None,
) -> Endpoint:
    """Give the row of a page, or of a part of one."""
    return Endpoint(
        "GET",
        path,
        handler,
        f"pages.{name}",
        summary,
        access=access,
        query=query,
        content="text/html",
        tag="pages",
        is_page=True,
    )


def action(
    path: str,
    handler: Handler,
    name: str,
    summary: str,
    *,
    access: Access = Access.USER,
    per_minute: int = 0,
    raw_body: str = "",
) -> Endpoint:
    """Give the row of a form's target. `call.fields` has what was sent, unless the handler reads a `raw_body` itself."""
    return Endpoint(
        "POST",
        path,
        handler,
        f"pages.{name}",
        summary,
        access=access,
        content="text/html",
        tag="pages",
        is_page=True,
        takes_form=not raw_body,
        raw_body=raw_body,
        per_minute=per_minute,
    )


class Form:
    """What was typed into a form, and what is wrong with it. `defaults` stand where nothing was typed yet."""

    def __init__(
        self, fields: MultiMapping[str] | None = None, defaults: Mapping[str, Any] | None = None
    ) -> None:
        self._fields = fields
        self._defaults = dict(defaults or {})
        self.errors: dict[str, str] = {}
        self.message: str | None = None
        self.action: str | None = None
        self.link: Way | None = None
        """Where a link helps, the way out with it."""

    def value(self, name: str) -> str:
        """Give what stands in a field when the form is shown; a secret one is empty."""
        if name in SECRETS:
            return ""
        if self._fields is not None:
            return self._fields.get(name, "")
        default = self._defaults.get(name)
        return "" if default is None else str(default)

    def chosen(self, name: str) -> list[str]:
        """Give all values of a field that may have several."""
        if self._fields is not None:
            return list(self._fields.getall(name, []))
        default = self._defaults.get(name) or []
        return [str(item) for item in default] if isinstance(default, Iterable) else [str(default)]

    def is_on(self, name: str) -> bool:
        """Tell whether a checkbox is ticked."""
        if self._fields is not None:
            return name in self._fields
        return bool(self._defaults.get(name))

    def read(self, kind: type[T]) -> T:
        """Give what was sent as a Struct. Empty fields count as absent, checkboxes as true or false. Raises InvalidInput."""
        sent = self._fields if self._fields is not None else MultiDict[str]()
        values: dict[str, Any] = {}
        for item in msgspec.structs.fields(kind):
            name = item.encode_name
            if item.type is bool:
                values[name] = name in sent
                continue
            texts = sent.getall(name, [])
            if not all(is_text(text) for text in texts):
                raise _invalid(name, "holds a character that is not text")
            if _is_list(item.type):
                values[name] = [text.strip() for text in texts if text.strip()]
            elif texts and (texts[0].strip() or item.required):
                values[name] = texts[0] if name in SECRETS else texts[0].strip()
            elif item.required:
                values[name] = ""
        try:
            return msgspec.convert(values, kind, strict=False)
        except msgspec.ValidationError as error:
            message, _, path = str(error).partition(" - at ")
            if message.startswith("Invalid enum value"):  # the one message that repeats the value
                message = "Not one of the values allowed here"
            raise _invalid(path.strip("`").removeprefix("$.") or "form", message) from None

    def refuse(self, error: AppError) -> "Form":
        """Note why it was refused: at its fields where the error names them, and as a whole."""
        names = {item.field: _sentence(plain(item.message)) for item in error.errors}
        self.errors = names
        way = way_of(error)
        self.message, self.action, self.link = plain(error.message), way.text, way
        return self


def _is_list(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) in (list, tuple)


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _invalid(field: str, message: str) -> InvalidInput:
    return InvalidInput(
        "Please look at the marked field",
        action="Mend it and send the form again.",
        errors=[FieldError(field, message)],
    )


async def render(
    call: Call,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> web.Response:
    """Give a page or a part of one, from a template and what it shows."""
    actor = call.maybe_actor
    unread = 0
    if actor is not None and not is_fragment(call.request):
        unread = await count_unread(call.deps, actor)
    return _respond(
        call.request,
        template,
        {"user": actor.user if actor else None, "unread": unread, **context},
        status,
        headers,
    )


def is_fragment(request: web.Request) -> bool:
    """Tell whether a page asks for a part of itself, and not a browser for the whole."""
    return "HX-Request" in request.headers and "HX-History-Restore-Request" not in request.headers


def _respond(
    request: web.Request,
    template: str,
    context: Mapping[str, Any],
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    deps = request.app[DEPS]
    theme = request.cookies.get(THEME_COOKIE)
    base = {
        "now": deps.now(),
        "path": request.path,
        "here": request.path_qs,
        "done": request.query.get("done"),
        "theme": theme if theme in ("light", "dark") else None,
        "registration_open": deps.settings.registration == "open",
        "base_url": deps.settings.base_url,
    }
    text = render_template(request, template, {**base, **context})
    response = web.Response(
        text=text,
        status=status,
        content_type="text/html",
        headers={
            "Content-Security-Policy": POLICY,
            hdrs.VARY: "HX-Request, Accept-Encoding",
            **(headers or {}),
        },
    )
    # No secret stands on any page, so nothing can be guessed from how well it compresses.
    if len(text) >= _COMPRESS_FROM_BYTES and "gzip" in request.headers.get(
        hdrs.ACCEPT_ENCODING, ""
    ):
        response.enable_compression(web.ContentCoding.gzip)
    return response


def refusal_status(request: web.Request, error: AppError) -> int:
    """Give the status of a form that is shown again: 422 for a part of a page, which is then put in place."""
    return 422 if is_fragment(request) else problem.status_of(error)


def see_other(path: str, done: str | None = None) -> web.Response:
    """Send the browser to another page after something was done; `done` names what that page says of it."""
    if done is not None:
        joint = "&" if "?" in path else "?"
        path = f"{path}{joint}{urlencode({'done': done})}"
    return web.Response(status=303, headers={hdrs.LOCATION: path})


def safe_next(path: str | None, default: str = HOME) -> str:
    r"""Give where to go on, if that is a page of ours; never another site.

    Browsers take `//host` and `/\host` for other sites, and drop tabs and line ends from addresses (WHATWG URL, §4.4).
    """
    if not path or not path.startswith("/ui/") or "\\" in path or not path.isprintable():
        return default
    parts = urlsplit(path)
    return path if not parts.scheme and not parts.netloc else default


def wants_page(request: web.Request, endpoint: Endpoint | None) -> bool:
    """Tell whether an error is for a person at a page and not for a program."""
    if endpoint is not None:
        return endpoint.is_page
    asks = "text/html" in request.headers.get(hdrs.ACCEPT, "")
    return asks and request.method in ("GET", "HEAD", "POST")


def _form_page(request: web.Request) -> str:
    """Give the page on which a form stood, as its browser tells."""
    try:
        parts = urlsplit(request.headers.get(hdrs.REFERER, ""))
    except ValueError:
        return HOME
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return safe_next(path) if parts.netloc == request.host else HOME


def respond_to_error(request: web.Request, error: AppError, status: int) -> web.Response:
    """Give the page of an error; where somebody has to sign in first, the way there and back."""
    fragment = is_fragment(request)
    if isinstance(error, NotAuthenticated) and not fragment:
        back = request.path_qs if request.method in ("GET", "HEAD") else _form_page(request)
        where = {"next": back} if safe_next(back) == back and back != HOME else {}
        ended = {"ended": "1"} if error.code != NotAuthenticated.default_code else {}
        query = urlencode({**where, **ended})
        return web.Response(
            status=303, headers={hdrs.LOCATION: f"{SIGN_IN}?{query}" if query else SIGN_IN}
        )
    actor = request.get(ACTOR)
    context = {
        "user": actor.user if actor else None,
        "unread": 0,
        "error": error,
        "status": status,
        "request_id": request[REQUEST_ID],
    }
    template = "errors/fragment.html" if fragment else "errors/page.html"
    return _respond(request, template, context, status, problem.headers_of(error))
