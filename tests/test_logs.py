"""What leaves by a log holds no secret, however it came in."""

import asyncio
import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import pytest
import structlog

from app.logs import REDACTED, configure_logging, redact, redact_value

SECRET = "s3cr3t-Planted.Value"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyX2lkIjoxfQ.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, sys.excepthook, threading.excepthook)
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    sys.excepthook, threading.excepthook = before[2], before[3]
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture
def lines() -> io.StringIO:
    stream = io.StringIO()
    configure_logging("json", "debug", stream)
    return stream


@pytest.mark.parametrize(
    "text",
    [
        f"GET https://impute.example/share/results/{SECRET}/chr_20.zip",
        f"/downloads/job-2025/{SECRET}/chr_20.zip failed",
        f"http://127.0.0.1:8000/files/download/{SECRET}/results.zip?x=1",
        f"https://host/ui/password-reset/{SECRET.replace('.', '-')}-long-enough",
        f"https://host/ui/reset?token={SECRET}&next=/",
        f"https://s3.example/a?X-Amz-Date=1&X-Amz-Signature={SECRET}&X-Amz-Expires=9",
        f"https://blob.example/a?sv=1&sig={SECRET}",
        f"https://cdn.example/a?Key-Pair-Id={SECRET}",
        f"postgresql://fip:{SECRET}@db.example/fip",
        f"redis://:{SECRET}@cache.example",
        f"Authorization: Bearer {SECRET}",
        f"authorization: Basic {SECRET}==",
        f"X-Auth-Token: {SECRET}",
        f"{{'X-Auth-Token': '{SECRET}', 'Accept': '*/*'}}",
        f'{{"api_token":"{SECRET}"}}',
        f'{{"password": "with blanks {SECRET}"}}',
        f'"{{\\"password\\": \\"{SECRET}\\"}}"',
        f"<CIMultiDict('Cookie': 'a=1; session={SECRET}', 'Host': 'x')>",
        f"Set-Cookie: session={SECRET}; HttpOnly",
        f"password={SECRET}",
        f"    password: {SECRET}",
        f"All results are encrypted with password <b>{SECRET}</b>. Thank you",
        f"encrypted with password {SECRET}",
        f"The password for the imputation results is: <b>{SECRET}</b>",
        f"Credential(user_id=1, api_token='{SECRET}', origin='https://x')",
        f"secret_key={SECRET}",
        f"token h3a_{SECRET} was rejected",
        f"sent {JWT[:20]}.{SECRET}.x to the server",
        "hash $2b$12$C6UzMDM.H6dfI/f/IKxGhu" + SECRET,
    ],
)
def test_redact_when_text_holds_a_secret_then_it_is_gone(text: str) -> None:
    cleaned = redact(text)
    assert SECRET not in cleaned
    assert "s3cr3t" not in cleaned
    assert REDACTED in cleaned
    assert redact(cleaned).count("s3cr3t") == 0


@pytest.mark.parametrize(
    "text",
    [
        "The chromosomes 1-22 passed; r2 = 0.93 at MAF: 0.01",
        "H3Africa authentication failed: your token has expired",
        "The password reset was asked for",
        '{"has_api_token":true,"token_version":3,"credential_kind":"token"}',
        "https://impute.example/api/v2/jobs/job-20250101-1/status?page=2",
        "job 0f8fad5b-d9cb-469f-a165-70867728950e sha256 9f86d081884c7d659a2feaa0c55ad015",
        "basic usage, bearer of news",
        "remote job fi-9b2b500c30d74f2c99613d9f42fc94e2 was found",
    ],
)
def test_redact_when_text_is_ordinary_then_it_is_unchanged(text: str) -> None:
    assert redact(text) == text


def test_redact_when_a_service_repeats_our_password_then_it_is_gone() -> None:
    password = "fi-0aB1cD2eF3gH4iJ5kL6mN7oP"

    assert redact(f"it opens with {password}, says the service").count(password) == 0
    assert redact(password) == REDACTED


def test_redact_when_text_is_hostile_and_long_then_it_ends() -> None:
    for piece in (
        "-eyJaaaa",
        "?sigsigsig",
        'token="',
        "password ",
        "://a:b",
        "-----BEGIN PRIVATE KEY",
    ):
        assert redact(piece * 50_000)


def test_log_when_names_hold_secrets_then_values_are_redacted_at_every_depth(
    lines: io.StringIO,
) -> None:
    structlog.get_logger().info(
        "credential.stored",
        api_token=SECRET,
        headers={"X-Auth-Token": SECRET, "nested": [{"password": SECRET, "n": 1}]},
        user_id=7,
        token_version=2,
        raw=SECRET.encode(),
    )
    assert SECRET not in lines.getvalue()
    entry = json.loads(lines.getvalue())
    assert entry["event"] == "credential.stored"
    assert entry["level"] == "info"
    assert entry["user_id"] == 7
    assert entry["token_version"] == 2
    assert entry["headers"]["nested"][0] == {"password": REDACTED, "n": 1}
    assert entry["timestamp"].endswith("Z")


def test_log_when_context_is_bound_then_it_is_redacted_too(lines: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r1", session_token=SECRET):
        structlog.get_logger().warning("x", path=f"/files/download/{SECRET}/a.zip")
    entry = json.loads(lines.getvalue())
    assert entry["request_id"] == "r1"
    assert SECRET not in lines.getvalue()


def test_log_when_exception_is_chained_then_no_message_of_the_chain_leaks(
    lines: io.StringIO,
) -> None:
    def remote() -> None:
        raise ValueError(f"remote said: password={SECRET}")

    try:
        try:
            remote()
        except ValueError as error:
            raise RuntimeError(f"GET /share/results/{SECRET}/x") from error
    except RuntimeError:
        structlog.get_logger().exception("step.failed")
        logging.getLogger("aiohttp.server").exception("Error handling request")
    text = lines.getvalue()
    assert text.count("Traceback") >= 2
    assert SECRET not in text
    assert all(json.loads(line)["exception"] for line in text.splitlines())


def test_log_when_standard_library_logs_then_it_is_json_and_redacted(lines: io.StringIO) -> None:
    logging.getLogger("asyncio").error("Task exception: %r", {"Authorization": f"Bearer {SECRET}"})
    entry = json.loads(lines.getvalue())
    assert entry["logger"] == "asyncio"
    assert SECRET not in lines.getvalue()


def test_log_when_warning_is_raised_then_it_is_redacted(lines: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"password={SECRET}", UserWarning, stacklevel=1)
    assert "password=" in lines.getvalue()
    assert SECRET not in lines.getvalue()


def test_log_when_arguments_do_not_fit_the_format_then_they_are_not_shown(
    lines: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("json", "debug", lines)  # pytest's own handler, which raises, goes
    logging.getLogger("lib").error("%d files", f"api_token={SECRET}")
    assert "lost" in lines.getvalue()
    captured = capsys.readouterr()
    assert SECRET not in lines.getvalue() + captured.out + captured.err


def test_log_when_object_cannot_be_shown_then_the_line_is_still_written(lines: io.StringIO) -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError(SECRET)

    structlog.get_logger().info("x", thing=Broken())
    assert json.loads(lines.getvalue())["thing"] == "<Broken that cannot be shown>"


def test_log_when_loop_reports_a_lost_exception_then_it_is_redacted(lines: io.StringIO) -> None:
    loop = asyncio.new_event_loop()
    loop.call_exception_handler(
        {"message": "never retrieved", "exception": ValueError(f"token={SECRET}")}
    )
    loop.close()
    assert "never retrieved" in lines.getvalue()
    assert SECRET not in lines.getvalue()


def test_log_when_program_or_thread_crashes_then_it_is_logged_and_redacted(
    lines: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    def crash() -> None:
        raise ValueError(f"password={SECRET}")

    configure_logging("json", "debug", lines)  # takes the hooks from pytest
    thread = threading.Thread(target=crash)
    thread.start()
    thread.join()
    try:
        crash()
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    captured = capsys.readouterr()
    assert "thread.crashed" in lines.getvalue()
    assert "process.crashed" in lines.getvalue()
    assert SECRET not in lines.getvalue() + captured.out + captured.err


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_log_when_value_holds_line_breaks_and_escapes_then_one_line_is_written(
    log_format: str,
) -> None:
    stream = io.StringIO()
    configure_logging(log_format, "info", stream)
    structlog.get_logger().info("job.made", job_name="a\r\nlevel=error \x1b[2J forged\u2028x")
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert "\x1b[2J" not in text
    assert "\r" not in text


def test_log_when_level_is_higher_then_lower_ones_are_left_out() -> None:
    stream = io.StringIO()
    configure_logging("json", "warning", stream)
    structlog.get_logger().info("no")
    logging.getLogger("lib").info("no")
    structlog.get_logger().warning("yes")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["yes"]


def test_configure_when_format_or_level_is_unknown_then_it_refuses() -> None:
    with pytest.raises(ValueError, match="format"):
        configure_logging("xml")
    with pytest.raises(ValueError, match="level"):
        configure_logging("json", "loud")


def test_redact_value_when_record_is_given_then_its_text_is_redacted() -> None:
    @dataclass
    class Login:
        password: str

    assert SECRET not in redact_value(Login(SECRET))
    job = UUID("0f8fad5b-d9cb-469f-a165-70867728950e")
    assert redact_value(job) == str(job)
    deep: list[object] = []
    deep.append(deep)
    assert redact_value(deep)
