"""The public genotypes that the sandbox imputes with, and that tests and the demo use as input.

Debian's package ``shapeit4-example`` (Expat licence): 1000 Genomes, chromosome 20, 1-4 Mb, GRCh37,
24,990 sites; 300 phased samples as reference and 203 others, at the same sites, to test with.
"""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path("usr/share/doc/shapeit4/examples/test")
_PACKAGE = "shapeit4-example"
_TIMEOUT_S = 60
_INSTALLED = Path("/")


@dataclass(frozen=True, slots=True)
class ExampleData:
    """The files; each VCF is bgzipped and has its index beside it.

    reference: 300 samples, phased. unphased: 203 other samples at the same sites: with all their
    genotypes they are the truth to compare with, thinned they are an input. genetic_map: of chromosome 20.
    """

    reference: Path
    unphased: Path
    genetic_map: Path
    chromosome: str = "20"
    build: str = "hg19"


def find_example(data_dir: Path, *, fetch: bool = True) -> ExampleData | None:
    """The example data, from the installed package or from an earlier fetch below ``data_dir``.

    Slim container images install packages without their documentation, where these files lie: then, as
    root and with ``fetch``, the package is downloaded with apt and unpacked below ``data_dir``. None where
    there is no way. Blocking, minutes at worst.
    """
    kept = data_dir / _PACKAGE
    for root in (_INSTALLED, kept):
        found = _look(root)
        if found is not None:
            return found
    if fetch and _can_fetch():
        _fetch(kept)
        return _look(kept)
    return None


def _look(root: Path) -> ExampleData | None:
    folder = root / _FOLDER
    data = ExampleData(
        reference=folder / "reference.vcf.gz",
        unphased=folder / "unphased.vcf.gz",
        genetic_map=folder / "chr20.b37.gmap.gz",
    )
    files = (data.reference, data.unphased, data.genetic_map)
    return data if all(f.is_file() for f in files) else None


def _can_fetch() -> bool:
    return os.geteuid() == 0 and all(shutil.which(tool) for tool in ("apt-get", "dpkg"))


def _fetch(target: Path) -> None:
    """Download and unpack the package; leaves ``target`` alone unless all went well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{_PACKAGE}-") as name:
        folder = Path(name)
        # apt drops privileges for the download; the folder has to let its own account in.
        folder.chmod(0o755)
        if not _run(["apt-get", "download", _PACKAGE], folder):
            _run(["apt-get", "update", "-qq"], folder)
            if not _run(["apt-get", "download", _PACKAGE], folder):
                return
        packages = list(folder.glob("*.deb"))
        unpacked = folder / "unpacked"
        if packages and _run(["dpkg", "-x", str(packages[0]), str(unpacked)], folder):
            shutil.rmtree(target, ignore_errors=True)
            unpacked.rename(target)


def _run(command: list[str], folder: Path) -> bool:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
