"""A search: candidates proposed by a tuner and executed as runs.

The state of a search is its file, its proposals so far and the records of its
runs. A search that is started again replays its tuner with the scores in the
store; finished runs are not repeated.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from medzoo.execution.runner import Executor, execute_jobs
from medzoo.record import Record
from medzoo.search.candidates import Candidate, Tried, judge
from medzoo.search.oracle import candidate_of, make_proposer
from medzoo.search.proposals import Proposals
from medzoo.search.search_file import Search
from medzoo.store import Store


def run_search(
    search: Search,
    store: Store,
    *,
    executor: Executor,
    workers: int = 1,
    on_tried: Callable[[Tried], None] = lambda tried: None,
    **options: Any,
) -> list[Tried]:
    """Runs a search, or resumes it.

    Candidates are proposed in rounds. Bayesian search and Hyperband propose
    enough candidates to give each worker a run, and receive the scores of a
    round in the order of its candidates before the next round: the proposals
    depend on the number of workers, but not on which run ends first. Earlier
    proposals stay when that number changes. Random search and grids use no
    scores and propose everything at once, unless the budget is in hours, which
    are checked before each round.

    Args:
        store: Store of the records.
        executor: Executes the runs.
        workers: Number of runs that the executor takes at a time.
        on_tried: Called with each candidate when its last run has ended.
        **options: Of `execute_jobs`: `retries`, `deadline` and `on_retry`.

    Returns:
        All candidates in order, failed ones included.

    Raises:
        ValueError: If another search of this name was begun in the store, and
            without KerasTuner, unless the tuner is `grid`.
        TimeoutError: At the deadline.
    """
    proposals = Proposals(search, store)
    known = [values for each in proposals.rounds for values in each]
    proposer = make_proposer(search, known)
    every: list[Candidate] = []
    for index in itertools.count():
        size = proposals.size(index)
        if size is None:
            if _hours_are_spent(search, [judge(each, store) for each in every]):
                break
            size = _round_size(search, workers)
        found = proposer.ask(size)
        if not found:
            break
        proposals.keep(index, found)
        candidates = [
            candidate_of(search, number, values)
            for number, values in enumerate(found, len(every) + 1)
        ]
        proposer.tell(
            _execute_round(candidates, store, executor, on_tried, options)
        )
        every += candidates
    return [judge(each, store) for each in every]


def _round_size(search: Search, workers: int) -> int | None:
    """Returns the number of candidates of a round; `None` for all."""
    about = search.document
    if about.hours is None and about.tuner in ("random", "grid"):
        return None
    return math.ceil(workers / (len(about.tasks) * len(about.seeds)))


def _hours_are_spent(search: Search, tried: Sequence[Tried]) -> bool:
    # The seconds of runs that Hyperband promotes include earlier rounds.
    seconds = {each.run_ids: each.seconds for each in tried}
    hours = search.document.hours
    return hours is not None and sum(seconds.values()) >= 3600 * hours


def _execute_round(
    candidates: Sequence[Candidate],
    store: Store,
    executor: Executor,
    on_tried: Callable[[Tried], None],
    options: dict[str, Any],
) -> list[float | None]:
    """Executes the missing runs of a round; returns its scores."""
    from medzoo.training.check import check_plugins
    from medzoo.training.execute import require_data

    jobs = {each.number: each.jobs(store) for each in candidates}
    left = {n: {job.run.run_id for job in each} for n, each in jobs.items()}
    found: dict[int, Tried] = {}

    def judge_finished() -> None:
        for each in candidates:
            if not left[each.number] and each.number not in found:
                found[each.number] = judge(each, store)
                on_tried(found[each.number])

    def on_record(record: Record) -> None:
        for run_ids in left.values():
            run_ids.discard(record.run_id)
        judge_finished()

    judge_finished()
    missing = dict.fromkeys(job for each in jobs.values() for job in each)
    check_plugins(job.run for job in missing)
    for job in missing:
        require_data(job.run)
    if missing and not execute_jobs(
        missing, store, executor=executor, on_record=on_record, **options
    ):
        raise TimeoutError("The hours are over before the search is finished.")
    return [found[each.number].score for each in candidates]
