"""`medzoo` with one more command: a study whose runs are not trained."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from pretended import pretend

from medzoo.cli import app, main


@app.command()
def pretended(
    name: str,
    executions: Path,
    seconds: float = 0.05,
    shard: Annotated[str | None, typer.Option()] = None,
    out: Path = Path("results"),
    max_hours: Annotated[float | None, typer.Option()] = None,
) -> None:
    """Run a study as `study run` does, with sleep in place of training."""
    from medzoo.cli.screen import run_on_screen
    from medzoo.execution.options import ExecutionOptions
    from medzoo.execution.shard import Shard
    from medzoo.study.spec import read_study

    stand_in = partial(pretend, executions=executions, seconds=seconds)
    means = ExecutionOptions(
        shard=Shard.parse(shard) if shard else None,
        hours=max_hours,
        execute=stand_in,
    )
    code = run_on_screen(read_study(name), out, command="-", means=means)
    raise typer.Exit(code)


if __name__ == "__main__":
    main()
