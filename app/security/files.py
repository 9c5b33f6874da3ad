"""Secrets that nobody set are made at the first start and kept in files that only their owner reads. There are no defaults."""

import os
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from app.security.vault import new_key
from app.settings import Settings, SettingsError

MIN_SECRET_BYTES = 32  # RFC 7518 §3.2: a key of at least the hash's size


def ensure_secrets(settings: Settings) -> Settings:
    """Give the settings with every secret filled in from `<data_dir>/secrets`. Raises SettingsError.

    Several hosts must share them: set FIP_JWT_SECRET, FIP_CREDENTIAL_KEYS and FIP_LINK_SECRET there.
    """
    directory = settings.data_dir / "secrets"
    makers: dict[str, Callable[[], str]] = {
        "jwt_secret": lambda: secrets.token_urlsafe(48),
        "credential_keys": lambda: f"k1:{new_key()}",
        "link_secret": lambda: secrets.token_urlsafe(48),
    }
    missing = {name: make for name, make in makers.items() if not getattr(settings, name)}
    for name in makers.keys() - missing.keys() - {"credential_keys"}:
        if len(getattr(settings, name).encode()) < MIN_SECRET_BYTES:
            raise SettingsError(f"FIP_{name.upper()} is shorter than {MIN_SECRET_BYTES} bytes")
    if not missing:
        return settings
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = {name: _ensure(directory / name, make) for name, make in missing.items()}
    except OSError as error:
        raise SettingsError(
            f"the secrets under {directory} cannot be used: {error.strerror}"
        ) from None
    return replace(settings, **cast("dict[str, Any]", found))


def _ensure(path: Path, make: Callable[[], str]) -> str:
    """Read a secret; make it first where it is absent. Two processes that start at once end up with the same one."""
    if not path.exists():
        write_secret(path, make(), replace_existing=False)
    text = path.read_text(encoding="utf-8").strip()
    if not text:
        raise SettingsError(f"the secret file {path.name} is empty; restore it from a backup")
    return text


def write_secret(path: Path, value: str, *, replace_existing: bool) -> None:
    """Write a secret file, whole or not at all, mode 0600."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(value + "\n")
            file.flush()
            os.fsync(file.fileno())
        if replace_existing:
            temporary.replace(path)
        else:
            try:
                os.link(temporary, path)
            except FileExistsError:
                return
    finally:
        temporary.unlink(missing_ok=True)
