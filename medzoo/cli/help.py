"""Help of commands: examples at its end, and flags without a type."""

import os
import shlex
from collections import Counter
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
    """A command, which knows `~` where the shell leaves it: `--out=~/results`.

    Empty arguments are refused: as paths they would be the current folder.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        parts = [*map(_part, args)]
        for (flag, value), before in zip(parts, ["", *args], strict=False):
            if not value.strip():
                name = flag.rstrip("=") or before
                what = f"`{name}`" if name.startswith("-") else "An argument"
                raise ValueError(
                    f"{what} is empty. Expected a value, or to leave it out. "
                    f"Received: {shlex.join(args)}."
                )
        known = [flag + _expand_home(value) for flag, value in parts]
        if not ctx.resilient_parsing:
            self._refuse_twice(ctx, known)
        return super().parse_args(ctx, known)

    def _refuse_twice(self, ctx: Any, args: list[str]) -> None:
        """Refuses flags of one value that are given twice."""
        _, _, order = self.make_parser(ctx).parse_args([*args])
        for param, count in Counter(order).items():
            is_single = not (param.multiple or getattr(param, "count", False))
            is_option = param.param_type_name == "option"
            if count > 1 and is_option and is_single:
                raise ValueError(
                    f"`{param.opts[0]}` is given {count} times. Expected once. "
                    f"Received: {shlex.join(args)}."
                )


def _part(arg: str) -> tuple[str, str]:
    """Parts `--out=results` into flag and value; a word alone is a value."""
    flag, equals, value = arg.partition("=")
    has_flag = equals and flag.startswith("--")
    return (f"{flag}=", value) if has_flag else ("", arg)


def _expand_home(path: str) -> str:
    is_home = path == "~" or path.startswith("~/")
    return os.path.expanduser(path) if is_home else path


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
