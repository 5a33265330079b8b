"""Search: a tuner proposes candidates, an executor runs them, the store keeps.

The state of a search is its file, the proposals that were made for it, and the
records of its runs. A search that is called again asks its tuner from the
start, with the scores of the store: what is there is not trained again.
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
from medzoo.study.store import Store


def run_search(
    search: Search,
    store: Store,
    *,
    executor: Executor,
    workers: int = 1,
    on_tried: Callable[[Tried], None] = lambda tried: None,
    **options: Any,
) -> list[Tried]:
    """Looks for the best candidate, from where an earlier call was ended.

    Candidates come in rounds. Bayesian search and Hyperband propose as many at
    once as it takes to give each worker a run, and see the scores of a round,
    in the order of its candidates, before they propose the next: with one
    number of workers the candidates are always the same, whichever run ends
    first. What was proposed under another number stays. Random search and a
    grid look at no score, and propose all at once unless the budget is in
    hours, which is checked before each new round.

    Args:
        search: What to look for, and by which tuner.
        store: Where the records are, those of earlier searches among them.
        executor: Executes the runs.
        workers: How many runs the executor takes at a time.
        on_tried: Called with each candidate as soon as its last run has ended.
        **options: Of `execute_jobs`: `retries`, `deadline` and `on_retry`.

    Returns:
        What was tried, in order, failed candidates among them.

    Raises:
        ValueError: If another search of this name was begun in the store, and
            without KerasTuner, unless the tuner is `grid`.
        TimeoutError: If the deadline came first; `on_tried` has had what was
            finished.
    """
    proposals = Proposals(search, store)
    known = [values for each in proposals.rounds for values in each]
    proposer = make_proposer(search, known)
    every: list[Candidate] = []
    for index in itertools.count():
        size = proposals.size(index)
        if size is None:
            if _is_spent(search, [judge(each, store) for each in every]):
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
        proposer.tell(_try(candidates, store, executor, on_tried, options))
        every += candidates
    return [judge(each, store) for each in every]


def _round_size(search: Search, workers: int) -> int | None:
    """Returns how many candidates to ask for; `None` for all there are."""
    about = search.document
    if about.hours is None and about.tuner in ("random", "grid"):
        return None
    return math.ceil(workers / (len(about.tasks) * len(about.seeds)))


def _is_spent(search: Search, tried: Sequence[Tried]) -> bool:
    # Hyperband takes runs further, whose seconds are of all their training.
    seconds = {each.run_ids: each.seconds for each in tried}
    hours = search.document.hours
    return hours is not None and sum(seconds.values()) >= 3600 * hours


def _try(
    candidates: Sequence[Candidate],
    store: Store,
    executor: Executor,
    on_tried: Callable[[Tried], None],
    options: dict[str, Any],
) -> list[float | None]:
    """Executes what is missing of a round; returns its scores."""
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
    for job in missing:
        require_data(job.run)
    if missing and not execute_jobs(
        missing, store, executor=executor, on_record=on_record, **options
    ):
        raise TimeoutError("The hours are over before the search is finished.")
    return [found[each.number].score for each in candidates]
