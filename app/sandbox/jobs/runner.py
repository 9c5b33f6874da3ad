"""One run of the engine for a job: options out of the form, messages into the steps."""

import threading
import time
from pathlib import Path

from app.sandbox.config import SandboxConfig
from app.sandbox.engine import pipeline
from app.sandbox.engine.backend import Backend
from app.sandbox.engine.model import (
    Cancellation,
    Cancelled,
    EngineFailure,
    Group,
    Level,
    Options,
    Sabotage,
    Work,
)
from app.sandbox.faults import Faults
from app.sandbox.jobs import checksums
from app.sandbox.jobs.model import Folders, Job, Message, State
from app.sandbox.panels import find_panel

_BAR = '<b>{label} ({done}/{total})</b><br><div class="progress" style="width: {percent}%"></div>'


class StepReporter:
    """Puts what the engine says into the job's steps; steps are changed from the engine's thread.

    It keeps to the steps and the log of its own run: a job that died and was restarted has others.
    """

    def __init__(self, job: Job) -> None:
        self._steps = job.steps
        self._log = job.log
        self._lock = threading.Lock()

    def say(self, group: Group, text: str, level: Level = Level.OK) -> None:
        with self._lock:
            self._messages(group).append(Message(text=text, level=level))
        self._log.append(_stamped(text))

    def progress(self, group: Group, label: str, done: int, total: int) -> None:
        text = _BAR.format(label=label, done=done, total=total, percent=done * 100 // total)
        level = Level.OK if done == total else Level.RUNNING
        with self._lock:
            messages = self._messages(group)
            for message in messages:
                if message.label == label:
                    message.text, message.level = text, level
                    return
            messages.append(Message(text=text, level=level, label=label))

    def _messages(self, group: Group) -> list[Message]:
        return next(step.messages for step in self._steps if step.name == group.value)


def write_log(job: Job, text: str) -> None:
    """Add to the job's log, each entry with the server's time."""
    job.log.append(_stamped(text))


def _stamped(text: str) -> str:
    return f"{time.strftime('%y/%m/%d %H:%M:%S')} {text}"


def describe(job: Job) -> str:
    """The beginning of a job's log, with all inputs in clear (``AbstractJob.run``)."""
    inputs = "".join(f"    {name}: {value}\n" for name, value in job.inputs.items())
    files = "".join(f"    files: {name}\n" for name in job.files)
    return (
        f"Details:\n  Name: {job.name}\n  Job-Id: {job.id}\n  Submitted On: {job.submitted_on}\n"
        f"  Submitted By: {job.user}\n  User-Agent: {job.user_agent}\n  Inputs:\n{inputs}{files}"
    )


def make_options(job: Job, config: SandboxConfig) -> Options:
    """What the form asks for; missing inputs take the defaults of imputationserver2's YAML."""
    inputs = job.inputs
    return Options(
        panel=find_panel(config.panels, inputs["refpanel"]) if "refpanel" in inputs else None,
        build=inputs.get("build", "hg19"),
        phasing=inputs.get("phasing", "eagle"),
        population=inputs.get("population"),
        mode=inputs.get("mode", "imputation"),
        min_r2=_number(inputs.get("r2Filter", "0")),
        aes="aesEncryption" in inputs,
        meta="meta" in inputs,
        password=inputs.get("password"),
        job_name=job.name,
        sealed=job.wes is None and config.dialect != "simple",
        min_samples=config.min_samples,
        max_samples=config.max_samples,
    )


def run_engine(
    job: Job,
    reporter: StepReporter,
    folders: Folders,
    config: SandboxConfig,
    faults: Faults,
    backend: Backend,
    cancel: Cancellation,
) -> State:
    """Run the engine to its end and tell how it ended. Blocking; leaves the results in the output folder."""
    work = Work(
        inputs=tuple(_visible_inputs(folders.input)),
        output=folders.output,
        scratch=folders.scratch,
        options=make_options(job, config),
        sabotage=Sabotage(
            job_error=faults.job_error,
            wrong_password=faults.wrong_password,
            broken_zip=faults.broken_zip,
            evil_zip=faults.evil_zip,
        ),
    )
    try:
        pipeline.run(work, backend, reporter, cancel, tell_password=config.print_password)
    except EngineFailure:
        return State.FAILED
    except Cancelled:
        return State.CANCELED
    except Exception as error:  # noqa: BLE001 - the outermost wrapper of a run: the job must end
        reporter.say(Group.SUMMARY, f"Internal error: {error!r}", Level.ERROR)
        return State.FAILED
    checksums.publish(folders.output, config, wrong=faults.wrong_md5)
    return State.SUCCESS


def _visible_inputs(folder: Path) -> list[Path]:
    """Only names that end exactly in ``.vcf.gz`` are seen (imputationserver2: ``${files}/*.vcf.gz``)."""
    return sorted(folder.glob("*.vcf.gz"))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
