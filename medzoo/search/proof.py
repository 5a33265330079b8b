"""The study that tests the winner of a search with new seeds."""

import json
from collections.abc import Mapping

from medzoo.models.options import Value
from medzoo.search.search_file import Search


def write_proof(search: Search, best: Mapping[str, Value]) -> str:
    """Writes a study of the winner of a search against its baseline.

    The best of many candidates is in part the luckiest on val, so both are
    trained with seeds that the search did not use, and then scored on test.

    Args:
        best: The values of its best candidate.

    Returns:
        The text of the file.
    """
    about = search.document
    # Keys of `[fixed]` that the baseline changes belong to the trials.
    apart = {
        key: value
        for key, value in about.fixed.items()
        if key in about.baseline and about.baseline[key] != value
    }
    fixed = {k: v for k, v in about.fixed.items() if k not in apart}
    baseline = {k: v for k, v in about.baseline.items() if k not in fixed}
    head = {
        "question": f"Is what the search `{search.name}` found better than "
        "its baseline, with new seeds?",
        "tasks": about.tasks,
        "seeds": search.proof_seeds,
        "score": about.score,
        "data": {"source": about.data, **about.data_options}
        if about.data_options
        else about.data,
    }
    return "\n".join(
        [
            f"# Written by the search `{search.name}`; its winner was chosen "
            "on val.",
            *_lines(head),
            'baseline = { name = "baseline" }',
            "",
            "[[trials]]",
            'name = "winner"',
            *_lines({**apart, **best}),
            "",
            "[[trials]]",
            'name = "baseline"',
            *_lines(baseline),
            "",
            "[fixed]",
            *_lines(fixed),
            "",
        ]
    )


def _lines(values: Mapping[str, object]) -> list[str]:
    return [f"{key} = {_toml(value)}" for key, value in values.items()]


def _toml(value: object) -> str:
    """Writes a value; JSON has strings, numbers and lists as TOML has them."""
    if isinstance(value, dict):
        return f"{{ {', '.join(_lines(value))} }}"
    return json.dumps(value)
