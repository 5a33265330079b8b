"""Execution in the process of a test: no worker imports the backend again."""

from contextlib import nullcontext

from medzoo.cli.screen import run_on_screen
from medzoo.execution.job import Outcome
from medzoo.execution.options import ExecutionOptions
from medzoo.execution.worker import run_one


class OneAtATime:
    """An executor that executes a job when it is waited for."""

    known = ()

    def __init__(self):
        self.started = []

    def idle(self):
        return None if self.started else self

    def start(self, jobs, store):
        self.started = [(job, store) for job in jobs]

    def is_busy(self):
        return bool(self.started)

    def graphs(self):
        return set()

    def wait(self, seconds):
        started, self.started = self.started, []
        return [Outcome(job, *run_one(job, store)) for job, store in started]

    def stop(self):
        self.started = []


class InProcess(ExecutionOptions):
    """Options of an execution by `OneAtATime`."""

    def open_executor(self, num_jobs):
        return nullcontext(OneAtATime())


def run_here(study, out, *, code=0, **options):
    """Runs a study as its command does; returns the folder of its report."""
    means = InProcess(**{"keep": study.keep, **options})
    assert run_on_screen(study, out, command="-", means=means) == code
    return out / study.folder_name(smoke=False)
