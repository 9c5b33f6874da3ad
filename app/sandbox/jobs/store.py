"""Jobs on disk: one folder each, with ``job.json`` replaced whole at every change. All of it blocks."""

import secrets
import shutil
import sys
import time
from pathlib import Path

import msgspec

from app.sandbox.jobs.model import Folders, Job, ResultFile


class JobStore:
    """The jobs below a folder, and the folder for uploads that have no job yet."""

    def __init__(self, data_dir: Path) -> None:
        self._jobs = data_dir / "jobs"
        self._uploads = data_dir / "uploads"
        for folder in (self._jobs, self._uploads):
            folder.mkdir(parents=True, exist_ok=True)

    def folders(self, job_id: str) -> Folders:
        return Folders(self._jobs, job_id)

    def load_all(self) -> list[Job]:
        """Every job there is, oldest first; what cannot be read is named on stderr and left out."""
        jobs = []
        for record in self._jobs.glob("*/job.json"):
            try:
                jobs.append(msgspec.json.decode(record.read_bytes(), type=Job))
            except msgspec.MsgspecError as error:
                sys.stderr.write(f"sandbox: {record} cannot be read: {error}\n")
        return sorted(jobs, key=lambda job: job.number)

    def save(self, job_id: str, record: bytes) -> None:
        path = self.folders(job_id).record
        temporary = path.with_name(f".job.{secrets.token_hex(4)}")
        temporary.write_bytes(record)
        temporary.replace(path)

    def create(self, job_id: str, upload: Path) -> list[str]:
        """The folder of a new job; the upload becomes its input without being copied. Gives its names."""
        folders = self.folders(job_id)
        folders.root.mkdir()
        upload.rename(folders.input)
        return sorted(f.name for f in folders.input.iterdir())

    def new_upload(self) -> Path:
        folder = self._uploads / f"upload_{secrets.token_hex(8)}"
        folder.mkdir()
        return folder

    def clear_uploads(self) -> None:
        """Remove what submissions cut off by the end of an earlier process left."""
        for folder in self._uploads.iterdir():
            shutil.rmtree(folder, ignore_errors=True)

    def prepare_run(self, job_id: str) -> None:
        """Empty folders for the results and the intermediate files."""
        folders = self.folders(job_id)
        for folder in (folders.output, folders.scratch):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()

    def clear_scratch(self, job_id: str) -> None:
        shutil.rmtree(self.folders(job_id).scratch, ignore_errors=True)

    def remove_files(self, job_id: str) -> None:
        """All files of a job but its record."""
        folders = self.folders(job_id)
        for folder in (folders.input, folders.output, folders.scratch):
            shutil.rmtree(folder, ignore_errors=True)

    def list_results(self, job_id: str, max_downloads: int) -> list[ResultFile]:
        """The files of the output folder as rows to download; folders become part of the name."""
        output = self.folders(job_id).output
        files = sorted(f for f in output.rglob("*") if f.is_file()) if output.is_dir() else []
        return [
            ResultFile(
                name=f.relative_to(output).as_posix(),
                hash=secrets.token_hex(32),
                size=f.stat().st_size,
                left=max_downloads,
            )
            for f in files
        ]


def now_ms() -> int:
    """The time as Cloudgene writes it."""
    return int(time.time() * 1000)
