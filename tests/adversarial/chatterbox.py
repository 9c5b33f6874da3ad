"""A service with every bad habit, and what listens to the platform's answers."""

from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from tests.fakes.cloudgene import FakeCloudgene


@dataclass
class Recorder:
    """Keeps every answer of the platform as it came over the connection."""

    answers: list[tuple[str, str]] = field(default_factory=list)

    def trace(self) -> aiohttp.TraceConfig:
        config = aiohttp.TraceConfig()
        config.on_request_end.append(self._on_headers)
        config.on_response_chunk_received.append(self._on_chunk)
        return config

    async def _on_headers(self, _session: object, _context: object, params: Any) -> None:
        self.answers.append((params.url.path, str(params.response.headers)))

    async def _on_chunk(self, _session: object, _context: object, params: Any) -> None:
        self.answers.append((params.url.path, params.chunk.decode("utf-8", "replace")))


@dataclass
class EchoingService(FakeCloudgene):
    """A service with every bad habit: it repeats tokens, passwords and forms in whatever it says."""

    heard: set[str] = field(default_factory=set)
    how: str = "accept"
    is_valid: bool = True

    def _user(self, request: web.Request) -> str | None:
        return "jdoe" if request.headers.get("X-Auth-Token") else None

    def everything(self, request: web.Request, form: dict[str, str]) -> str:
        """Put all that was heard into words."""
        token = request.headers.get("X-Auth-Token", "")
        self.heard |= {value for name, value in form.items() if name.endswith("password")}
        return (
            f"bad request of {token}: token '{token}', X-Auth-Token: {token}, said {form}, "
            f"password {form.get('password')}; the archive opens with {form.get('password')}"
        )

    async def verify(self, request: web.Request) -> web.Response:
        token = str((await request.post())["token"])
        said = f"Nobody knows the token {token}"
        return web.json_response(
            {
                "valid": self.is_valid,
                "message": said,
                "username": token,
                "expire": said,
            }
        )

    async def submit(self, request: web.Request) -> web.StreamResponse:
        form: dict[str, str] = {}
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            assert isinstance(part, aiohttp.BodyPartReader)
            content = bytes(await part.read())
            if part.filename is None:
                form[str(part.name)] = content.decode()
        said = self.everything(request, form)
        if self.how == "accept":
            job = self.add_job(form["job-name"], 5)
            for kind in (0, 1, 2, 3):
                self.message(job, f"step {kind}", kind, f"<b>{said}</b>")
            self.logs[job] = f"Inputs:\n  password: {form['password']}\n{said}\nERROR ~ {said}\n"
            return web.json_response({"success": True, "message": said, "id": job})
        if self.how == "html":
            return web.Response(
                status=400, text=f"<html><h1>{said}</h1></html>", content_type="text/html"
            )
        status = {"json": 400, "refuse": 401}[self.how]
        return web.json_response({"success": False, "message": said}, status=status)
