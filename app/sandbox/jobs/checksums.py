"""Published checksums: ``chr_N.zip.md5`` where a site sets ``imputation.md5``, one ``results.md5`` in imputationserver 1."""

import hashlib
from pathlib import Path

from app.sandbox.config import SandboxConfig

SHARED = "results.md5"


def publish(output: Path, config: SandboxConfig, *, wrong: bool) -> None:
    """Write the checksums of the archives as the configured server does. Blocking."""
    if not config.topmed and config.dialect != "cloudgene2":
        return
    lines = {file.name: _line(file, wrong=wrong) for file in sorted(output.glob("*.zip"))}
    if config.topmed:
        for name, line in lines.items():
            (output / f"{name}.md5").write_text(line)
    elif lines:
        (output / SHARED).write_text("".join(lines.values()))


def _line(file: Path, *, wrong: bool) -> str:
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return f"{digest[::-1] if wrong else digest}  {file.name}\n"
