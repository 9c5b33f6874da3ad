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
    name = plain_name(folder)
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
            f"if [ ! -f {name}.zip ]; then",
            f"  url={shlex.quote(url)}",
            f"  curl --fail --location --retry 5 --continue-at - --output {name}.zip.part \\",
            f"    --config <({secrets})",
            f"  mv {name}.zip.part {name}.zip",
            "fi",
            f"mkdir -p {name}",
            f"unzip -q -o {name}.zip -d {name} || python3 -m zipfile -e {name}.zip {name}",
            f"cd {name}",
            "check() { if command -v sha256sum >/dev/null; then sha256sum -c; else shasum -a 256 -c; fi; }",
            f"check <<'SUMS' || {{ echo 'Not whole: remove {name}.zip and run this again' >&2; exit 1; }}",
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
