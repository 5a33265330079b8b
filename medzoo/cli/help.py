"""Help of commands: examples at its end, and flags without a type."""

from collections.abc import Callable, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


class _PlainFlags:
    """Shows flags as they are typed, without `<bool>` beside them."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Returns the parameters, flags among them without a type."""
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            if getattr(param, "is_flag", False):
                param.metavar = ""
        return params


class _Command(_PlainFlags, TyperCommand):
    pass


class _Group(_PlainFlags, TyperGroup):
    """Commands; `EOFError` is a fault of a file, and not Ctrl-D."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except EOFError as error:
            raise ValueError(
                f"A file ends too early ({error}). Expected a complete one."
            ) from error


class App(typer.Typer):
    """A group of commands, each with examples at the end of its help.

    Args:
        **options: As of `typer.Typer`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(cls=_Group, no_args_is_help=True, **options)

    def command(  # type: ignore[override]
        self, name: str | None = None, *, examples: Sequence[str] = ()
    ) -> Callable[..., Any]:
        """Decorates a function as a command.

        Args:
            name: Its name; that of the function if `None`.
            examples: Commands that users may type.
        """
        epilog = format_examples(examples) if examples else None
        return super().command(name, cls=_Command, epilog=epilog)


def format_examples(examples: Sequence[str]) -> str:
    """Words the end of a help.

    Example:

    >>> format_examples(["medzoo tasks"])
    'Example:\\nmedzoo tasks'
    """
    return "\n".join([f"Example{'s' * (len(examples) > 1)}:", *examples])
