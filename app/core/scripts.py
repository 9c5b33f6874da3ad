"""A shell script that fetches a job's results, unpacks them and verifies every file. Pure.

It is made to be pasted: one bash of its own reads it, so that neither the options nor the dialect of the shell around matter.
"""

import re
import shlex
from collections.abc import Iterable

TOKEN_VARIABLE = "FIP_TOKEN"  # noqa: S105 - the name of a variable


def download_script(
    url: str, folder: str, sums: Iterable[tuple[str, str]], *, needs_token: bool
) -> str:
    """Give the script. `sums` are (name in the archive, SHA-256) pairs; with `needs_token` it signs in by `$FIP_TOKEN`."""
    lines = [_sum_line(name, digest) for name, digest in sums]
    # Not as arguments, which everybody on a shared machine can list.
    secrets = """printf 'url = "%s"\\n' "$url\""""
    if needs_token:
        secrets += f"""; printf 'header = "Authorization: Bearer %s"\\n' "${TOKEN_VARIABLE}\""""
    check_token = (
        [f': "${{{TOKEN_VARIABLE}:?Set it first: export {TOKEN_VARIABLE}=<your access token>}}"']
        if needs_token
        else []
    )
    return "\n".join(
        [
            "bash -eu <<'END-OF-SCRIPT'",
            *check_token,
            f"url={shlex.quote(url)}",
            f"to={plain_name(folder)}",
            'if [ ! -f "$to.zip" ]; then',
            '  curl --fail --location --retry 5 --continue-at - --output "$to.zip.part" \\',
            f"    --config <({secrets})",
            '  mv "$to.zip.part" "$to.zip"',
            "fi",
            'mkdir -p "$to"',
            'unzip -q -o "$to.zip" -d "$to" || python3 -m zipfile -e "$to.zip" "$to"',
            'cd "$to"',
            "check() { if command -v sha256sum >/dev/null; then sha256sum -c; else shasum -a 256 -c; fi; }",
            "check <<'SUMS' || { echo \"Not whole: remove $to.zip and run this again\" >&2; exit 1; }",
            *lines,
            "SUMS",
            'echo "Every file is whole: $PWD"',
            "END-OF-SCRIPT",
            "",
        ]
    )


def plain_name(text: str) -> str:
    """Give a name that no shell and no file system takes for anything else."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:80].rstrip("-.")
    return plain or "results"


def _sum_line(name: str, digest: str) -> str:
    """Write a line as `sha256sum` does; a name with a backslash or a line end is escaped (GNU coreutils)."""
    if not re.search(r"[\\\n\r]", name):
        return f"{digest}  {name}"
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"\\{digest}  {escaped}"
