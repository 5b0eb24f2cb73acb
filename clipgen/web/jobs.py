"""The queue: jobs that wait, and one thread that makes them, first come first served.

A job of the page is a run of the command line: the same plan, the same files in the folder of outputs, the same state
beside an unfinished picture, from which `clipgen resume` or a later server goes on. It has that state from the moment
when it is asked for, so that jobs which wait outlive the server, too.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from clipgen.config.job import MAX_STEPS
from clipgen.config.prompts import Prompt
from clipgen.session.options import OutputOptions
from clipgen.web.downloads import Downloads
from clipgen.web.failures import ConflictError, NotFoundError, attempt
from clipgen.web.job import DONE, OPEN, PAUSED, QUEUED, RUNNING, STOPPED, WebJob
from clipgen.web.requests import Planner, Request, read_prompts
from clipgen.web.uploads import Uploads
from clipgen.web.watching import Hub

MAX_OPEN = 500
MAX_OVER = 200
"""How many jobs that are over are remembered."""
MAX_STATES = 8
"""How many finished pictures keep the state from which they can go on."""


class Queue:
    """All jobs of one server, and the thread that makes their pictures."""

    def __init__(self, folder: Path, device: str = "auto", hub: Hub | None = None) -> None:
        """folder: of the outputs. Pictures are made once `start` was called."""
        self.hub = hub or Hub()
        self.uploads = Uploads(self._needed)
        self.downloads = Downloads(self.hub, device)
        self.folder, self.device = folder, device
        self._jobs: dict[str, WebJob] = {}
        self._waiting: list[WebJob] = []
        self._changed = threading.Condition(threading.RLock())
        self._claims = threading.Lock()
        """Held while a new job gets its state, which would be taken for one that somebody has left."""
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="clipgen-queue", daemon=True)

    def start(self) -> None:
        """Begin to make pictures."""
        self._thread.start()

    def close(self) -> int:
        """Stop the picture that is being made, which is kept and can be resumed, and wait until it is.

        A download of weights is stopped, too; what has arrived is kept.
        Returns how many jobs still waited; a later server offers them.
        """
        self.downloads.close()
        with self._changed:
            self._is_closed = True
            waiting = len(self._waiting)
            self._waiting.clear()
            for job in self._jobs.values():
                if job.state == RUNNING:
                    job.ask(STOPPED)
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        for job in self._jobs.values():
            job.discard_state()
        self.downloads.wait()
        self.uploads.close()
        return waiting

    def add(self, request: Request, plan: Planner, written: OutputOptions | None = None) -> WebJob:
        """Plan a job, and put it at the end of the queue.

        Raises UsageError, ClipgenError if there is no room for its state, ConflictError if there are too many jobs.
        """
        from clipgen.web.making import claim

        with self._changed:
            if sum(each.state in OPEN for each in self._jobs.values()) >= MAX_OPEN:
                raise ConflictError(f"{MAX_OPEN} jobs are open; stop some or wait")
        job = WebJob(request, written or request.written, self._tell, planner=plan)
        with self._claims:
            claim(job, self.folder, self.device)
            with self._changed:
                self._jobs[job.id] = job
                self._put(job)
        return job

    def all(self) -> list[dict[str, Any]]:
        """Describe all jobs, in the order in which they came."""
        with self._changed:
            return [self.describe(job) for job in self._jobs.values()]

    def get(self, name: str) -> WebJob:
        """Return a job; raises NotFoundError."""
        with self._changed:
            if name not in self._jobs:
                raise NotFoundError("there is no such job")
            return self._jobs[name]

    def describe(self, job: WebJob) -> dict[str, Any]:
        """Describe a job, with its place in the queue: 0 while it runs."""
        with self._changed:
            place = self._waiting.index(job) + 1 if job in self._waiting else 0
            return {**job.to_dict(), "position": place}

    def _needed(self) -> set[str]:
        """Return the ids of the uploads that unfinished jobs need."""
        with self._changed:
            needing = [job for job in self._jobs.values() if job.state in OPEN or job.is_resumable]
            return {each for job in needing for each in job.request.uploads}

    def halt(self, name: str, state: str) -> WebJob:
        """Stop a job (STOPPED), or pause it (PAUSED); one that is over already stays as it is."""
        with self._changed:
            job = self.get(name)
            if job.state == RUNNING:
                job.ask(state)
            elif job.state in (QUEUED, PAUSED):
                self._leave_queue(job)
                if state == STOPPED and job.planner:  # which can plan it again
                    job.withdraw()
                job.enter(state)
        return job

    def resume(self, name: str) -> WebJob:
        """Have a job that was stopped, or failed, go on. Raises ConflictError if there is nothing to go on from."""
        with self._changed:
            job = self.get(name)
            if job.state == RUNNING:
                job.again = job.is_asked
            elif job.state == QUEUED:
                return job
            elif job.is_resumable:
                self._put(job)
            else:
                raise ConflictError("this job is over; make its picture again instead")
        return job

    def extend(self, name: str, steps: int) -> WebJob:
        """Have a finished job, or one that was stopped, make so many steps more. Raises ConflictError."""
        with self._changed:
            job = self.get(name)
            if job.state in (QUEUED, RUNNING):
                raise ConflictError("this job is not finished yet")
            if not job.has_state:
                raise ConflictError(
                    "the state of this picture is gone; begin at the picture, as an init image, instead"
                )
            if job.progress.total + steps > MAX_STEPS:
                raise ConflictError(f"a run has {MAX_STEPS} steps at most")
            job.more += steps
            self._put(job)
        return job

    def change_prompt(self, name: str, text: str) -> WebJob:
        """Have a job go on with another prompt. Raises UsageError for one that it cannot have."""
        from clipgen.web.making import claim

        job = self.get(name)
        request = replace(job.request, prompt=text)
        prompts = read_prompts(text, request.negative)
        self._check_prompts(job, prompts)
        with self._changed:
            if job.state not in OPEN and not job.is_resumable:
                raise ConflictError("this job is over; make a picture of the new prompt instead")
            job.redirect(request, prompts)
            if job.state == RUNNING:
                job.ask(QUEUED)
                job.again = True
            else:
                claim(job, self.folder, self.device)
                if job.state != QUEUED:
                    self._put(job, first=True)
            self._tell(job)
        return job

    def forget(self, name: str) -> None:
        """Forget a job that is over; its files stay, if it has begun. Raises ConflictError for any other."""
        with self._changed:
            job = self.get(name)
            if job.state in (QUEUED, RUNNING):
                raise ConflictError("stop this job first")
            self._drop(job)

    def _check_prompts(self, job: WebJob, prompts: tuple[Prompt, ...]) -> None:
        from clipgen.session.new_prompt import with_prompts

        if job.plan is not None and not job.plan.init_tokens:
            with_prompts(job.plan, prompts, self.device)

    def _put(self, job: WebJob, *, first: bool = False) -> None:
        self._waiting.insert(0 if first else len(self._waiting), job)
        job.enter(QUEUED)
        self._changed.notify_all()

    def _leave_queue(self, job: WebJob) -> None:
        if job in self._waiting:
            self._waiting.remove(job)
            self._tell_waiting()

    def _drop(self, job: WebJob) -> None:
        del self._jobs[job.id]
        job.discard_state()
        job.withdraw()
        self.hub.tell("removed", job.id, {"id": job.id})

    def _tell(self, job: WebJob, kind: str = "job") -> None:
        """Tell the watchers of a change of a job, or of a step."""
        if self.hub.is_watched:
            self.hub.tell(kind, job.id, self.describe(job) if kind == "job" else job.step_dict())

    def _tell_waiting(self) -> None:
        for each in self._waiting:
            self._tell(each)

    def _work(self) -> None:
        """Make one picture after the other, until the queue is closed."""
        from clipgen.web.making import Maker

        maker = Maker(self.folder, self.device)
        attempt(self._adopt_unfinished)
        while (job := self._next()) is not None:
            error = attempt(partial(maker.make, job))
            with self._changed:
                job.left(error)
                if job.again and not self._is_closed and job.state in (QUEUED, PAUSED, STOPPED):
                    self._put(job, first=True)
                self._tidy()

    def _adopt_unfinished(self) -> None:
        """Take in the runs that earlier servers, or the command line, have left unfinished in the folder."""
        from clipgen.web.making import unfinished

        for job in unfinished(self.folder, self.uploads, self._tell):
            with self._claims, self._changed:
                if any(each.path == job.path for each in self._jobs.values()):
                    continue
                self._jobs[job.id] = job
            self._tell(job)

    def _next(self) -> WebJob | None:
        with self._changed:
            while not self._waiting and not self._is_closed:
                self._changed.wait()
            if self._is_closed:
                return None
            job = self._waiting.pop(0)
            job.begin()
            self._tell_waiting()
            return job

    def _tidy(self) -> None:
        """Forget the oldest jobs that are over, and the states of pictures that were finished long ago."""
        over = [each for each in self._jobs.values() if each.state not in OPEN]
        for job in over[:-MAX_OVER]:
            self._drop(job)
        finished = [each for each in over if each.state == DONE and each.has_state]
        for job in finished[:-MAX_STATES]:
            job.discard_state()
            self._tell(job)
