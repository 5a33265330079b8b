"""The study that tests the winner of a search with new seeds."""

from collections.abc import Mapping

from medzoo.models.options import Value
from medzoo.search.search_file import Search
from medzoo.study.source import write_toml


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
    head: dict[str, object] = {
        "question": f"Is what the search `{search.name}` found better than "
        "its baseline, with new seeds?",
        "tasks": about.tasks,
        "seeds": search.proof_seeds,
        "score": about.score,
        "data": {"source": about.data, **about.data_options}
        if about.data_options
        else about.data,
    }
    if about.plugins:
        folder = search.path.parent.resolve()
        head["plugins"] = [
            str(folder / name) if name.endswith(".py") else name
            for name in about.plugins
        ]
    return "\n".join(
        [
            f"# Written by the search `{search.name}`; its winner was chosen "
            "on val.",
            write_toml(head),
            'baseline = { name = "baseline" }',
            "",
            "[[trials]]",
            'name = "winner"',
            write_toml({**apart, **best}),
            "",
            "[[trials]]",
            'name = "baseline"',
            write_toml(baseline),
            "",
            "[fixed]",
            write_toml(fixed),
            "",
        ]
    )
