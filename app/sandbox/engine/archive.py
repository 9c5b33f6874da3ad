"""The encrypted ``chr_N.zip``: made by 7-Zip as on the servers, or by our own small writer.

imputationserver2 ``compression_encryption_vcf.nf``: ``7z a -tzip [-mem=AES256] -p"<password>"``.
"""

import os
import re
import secrets
import string
import zlib
from collections.abc import Iterator
from pathlib import Path

from app.sandbox.engine.model import Cancellation, Options, Sabotage
from app.sandbox.engine.tools import Tools
from app.sandbox.engine.zipwriter import Member, from_file, write_zip

# More than this takes our own writer longer than starting 7-Zip.
_OWN_ZIPCRYPTO_BYTES = 32 * 1024
_OWN_AES_BYTES = 1024 * 1024
_BOMB_BYTES = 256 * 1024 * 1024
_PIECE = bytes(1024 * 1024)


def make_password() -> str:
    """A random password as imputationserver2 ``PasswordCreator`` makes them: 14 characters with symbols."""
    alphabet = string.ascii_letters + string.digits + "!@#%^*()_+-=[]?"
    return "".join(secrets.choice(alphabet) for _ in range(14))


def password_in_params(password: str) -> str:
    """What becomes of a password that looks like a number or a boolean (cloudgene3 ``MapValueParser``).

    This is what the last step prints.
    """
    if re.fullmatch(r"[+-]?\d+", password):
        return str(int(password))
    if re.fullmatch(r"[+-]?(\d+\.\d*|\.?\d+)([eE][+-]?\d+)?", password):
        return str(float(password))
    if password.lower() in {"true", "false"}:
        return password.lower()
    return password


def password_in_shell(password: str) -> str:
    """What bash makes of a password between double quotes: variables and commands vanish."""
    password = re.sub(r"(?<!\\)`[^`]*`", "", password)
    password = re.sub(r"(?<!\\)\$(\w+|\{\w+\}|\([^)]*\)|[@*#?!-])", "", password)
    return re.sub(r"\\([$`\"\\])", r"\1", password)


def seal(
    target: Path,
    files: list[Path],
    options: Options,
    password: str,
    sabotage: Sabotage,
    tools: Tools,
    cancel: Cancellation,
    *,
    quick: bool,
) -> None:
    """Write ``target`` with ``files`` under ``password`` (as it stands in the parameters).

    ``quick`` leaves out the attempt to compress VCFs that are compressed already.

    Raises:
        ToolFailed, Cancelled: from 7-Zip's run.
    """
    key = password_in_shell(password)
    if sabotage.wrong_password:
        key += "-not"
    target.unlink(missing_ok=True)
    size = sum(f.stat().st_size for f in files)
    own_limit = _OWN_AES_BYTES if options.aes else _OWN_ZIPCRYPTO_BYTES
    if tools.zip is None or sabotage.evil_zip or not key or size <= own_limit:
        members = [from_file(f) for f in files]
        write_zip(target, [*_evil(sabotage), *members], key, aes=options.aes)
    else:
        command: list[str | Path] = [tools.zip, "a", "-tzip", "-bd", f"-p{key}"]
        command += ["-mem=AES256"] if options.aes else []
        command += ["-mx0"] if quick else []
        command += [target, *files]
        log = target.with_suffix(".log")
        tools.run(command, log, cancel)
        log.unlink()
    if sabotage.broken_zip:
        os.truncate(target, target.stat().st_size * 2 // 3)


def _evil(sabotage: Sabotage) -> list[Member]:
    if sabotage.evil_zip == "slip":
        text = b"this file tries to leave its folder\n"
        crc = zlib.crc32(text)
        return [
            Member(name, lambda: [text], len(text), len(text), crc)
            for name in ("../../../../sandbox-slip.txt", "/sandbox-slip.txt")
        ]
    if sabotage.evil_zip == "bomb":
        return [_bomb()]
    return []


def _bomb() -> Member:
    """Zeros packed a thousandfold: one piece is packed once and repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(_PIECE) + packer.flush(zlib.Z_FULL_FLUSH)
    end = packer.flush()
    count = _BOMB_BYTES // len(_PIECE)
    crc = 0
    for _ in range(count):
        crc = zlib.crc32(_PIECE, crc)

    def chunks() -> Iterator[bytes]:
        for _ in range(count):
            yield first
        yield end

    packed = len(first) * count + len(end)
    return Member("bomb.dose.vcf.gz", chunks, packed, _BOMB_BYTES, crc, method=8)
