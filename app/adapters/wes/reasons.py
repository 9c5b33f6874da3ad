"""Why a run failed: the end of what the failing task, or the engine, wrote to its standard error.

`stderr` should be an address by the specification; several servers put the text itself there, and some a link relative to the
run (toil). Exit codes may be null, -1 or a string, times may be anything, so both are only shown or not looked at.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from yarl import URL

from app.adapters import loose
from app.adapters.base import AdapterError
from app.adapters.text import clean, clean_line
from app.adapters.wes.client import Client

TAIL_BYTES = 64 * 1024
_MAX_READ_BYTES = 16 * 1024 * 1024
_REASON_LIMIT = 3500
_MAX_TASKS = 5000
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,500}(?:\x07|\x1b\\)|[@-Z\\-_])")
_LINK = re.compile(r"(https?://|\.{0,2}/)[^\s<>\"]{1,1000}|[\w.%~-]+(/[\w.%~:+-]+){1,20}")
_ADDRESS = re.compile(r"https?://[^\s\"']{8,2000}")


async def reason_for(client: Client, run: Mapping[str, object], run_id: str, raw: str) -> str:
    """Give a failed run's reason as plain text; whatever cannot be read is left out."""
    secrets = (*client.secrets, *addresses_in(run))
    log = loose.as_dict(run.get("run_log"))
    tasks = loose.dicts(run.get("task_logs"), _MAX_TASKS)
    task = next((item for item in reversed(tasks) if _failed(item)), None)
    lines = [_headline(raw, log, task, secrets)]
    for source in (task, log):
        text = await _stderr(client, source, run_id) if source is not None else ""
        tail = tail_of(text, secrets)
        if tail:
            lines.append(tail)
            break
    else:
        system = loose.as_list(log.get("system_logs"))[-20:]
        tail = tail_of("\n".join(item for item in system if isinstance(item, str)), secrets)
        lines += [tail] if tail else []
    return "\n".join(lines)


def tail_of(text: str, secrets: Sequence[str] = ()) -> str:
    """Give the end of a log as plain text: without colours, markup and secrets, whole lines as far as they fit."""
    plain = _ANSI.sub("", text[-TAIL_BYTES:])
    # Cleaned in pieces of a size that is looked at whole: what the limit of `clean` cuts off is the end.
    cleaned = clean(plain[-16 * 1024 :], limit=16 * 1024, secrets=secrets)
    if len(cleaned) <= _REASON_LIMIT:
        return cleaned
    cut = cleaned[-_REASON_LIMIT:]
    return "…" + (cut.partition("\n")[2] if "\n" in cut[:500] else cut)


def addresses_in(run: Mapping[str, object]) -> tuple[str, ...]:
    """Give the addresses among a run's parameters: links to our own files may be there, and logs repeat them."""
    found: list[str] = []
    for text in strings_in(loose.as_dict(run.get("request")).get("workflow_params")):
        found += _ADDRESS.findall(text)
        if len(found) > 500:
            break
    return tuple(dict.fromkeys(found))


def strings_in(value: object, most: int = 20_000) -> Iterator[str]:
    """Give the strings within JSON, up to a number of members."""
    todo = [value]
    seen = 0
    while todo and seen < most:
        item = todo.pop()
        seen += 1
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            todo += item.values()
        elif isinstance(item, list):
            todo += item


def link_in(text: str, client: Client, run_id: str) -> URL | None:
    """Give the address that `stderr` holds in place of text, where it is one of the service's own origin.

    Relative links stand below the run itself (toil writes `../../../../toil/wes/v1/logs/ID/stderr`).
    """
    if not _LINK.fullmatch(text.strip()):
        return None
    try:
        url = client.endpoint.at("runs", run_id).join(URL(text.strip()))
        return url if url.origin() == client.origin else None
    except ValueError:
        return None


async def _stderr(client: Client, source: Mapping[str, object], run_id: str) -> str:
    value = source.get("stderr")
    if isinstance(value, list):
        value = "\n".join(item for item in value if isinstance(item, str))
    if not isinstance(value, str) or not value.strip():
        return ""
    if not _LINK.fullmatch(value.strip()):
        return value
    url = link_in(value, client, run_id)
    if url is None:
        return ""
    try:
        return await _read_tail(client, url)
    except AdapterError:
        return ""


async def _read_tail(client: Client, url: URL) -> str:
    tail, total = bytearray(), 0
    headers = await client.headers_for(url)
    async with client.transport.stream_get(
        url, headers=headers, allow_insecure=client.allow_insecure
    ) as download:
        if download.answer.status != 200:
            return ""
        async for chunk in download.chunks:
            tail += chunk
            total += len(chunk)
            del tail[:-TAIL_BYTES]
            if total > _MAX_READ_BYTES:
                break
    return tail.decode("utf-8", "replace")


def _failed(task: Mapping[str, object]) -> bool:
    code = task.get("exit_code")
    return code is not None and loose.as_int(code) != 0


def _headline(
    raw: str,
    log: Mapping[str, object],
    task: Mapping[str, object] | None,
    secrets: Sequence[str],
) -> str:
    """Say the state, the task and the exit code, as far as they are told."""
    words = [raw]
    name = clean_line(task.get("name"), limit=100, secrets=secrets) if task else ""
    if name:
        words.append(f"task {name}")
    code = loose.as_text((task or log).get("exit_code"))
    if code and len(code) <= 12 and code != "-1":
        words.append(f"exit code {clean_line(code)}")
    return ", ".join(words)
