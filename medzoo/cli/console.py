"""Consoles of commands: quiet ones, and a log file of what they print."""

import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.control import Control

from medzoo.console import PlainConsole
from medzoo.files import require_output, writing

# Columns of text that is piped or logged, which nobody wants to be wrapped.
_WIDE = 200


class CommandConsole(PlainConsole):
    """The streams of a command, and its log file.

    Progress and notes are printed to the standard error stream, and results to
    the standard output. The log file gets all of them.

    Args:
        quiet: Whether to print results only.
        log_file: File that lines are added to.

    Raises:
        FileNotFoundError: If the log file cannot be written.
    """

    def __init__(
        self, *, quiet: bool = False, log_file: Path | None = None
    ) -> None:
        super().__init__(stderr=True, quiet=quiet)
        if log_file is not None:
            require_output(log_file)
        self._log_file = log_file
        self._output = PlainConsole()
        for console in (self, self._output):
            if not console.is_terminal:
                console.width, console.soft_wrap = _WIDE, True
        now = datetime.now().isoformat(" ", timespec="seconds")
        self._log(f"{now} medzoo {shlex.join(sys.argv[1:])}")

    def on_broken_pipe(self) -> None:
        """Prints no more progress when nobody reads it; all goes on."""
        self.quiet = True

    def print(self, *objects: Any, **options: Any) -> None:
        """Prints progress, unless the console is quiet."""
        super().print(*objects, **options)
        # Bars print nothing but what moves the cursor.
        if objects and not isinstance(objects[0], Control):
            self._log(*objects, **options)

    def note(self, *objects: Any, **options: Any) -> None:
        """Prints what a user must know, in a quiet console as well."""
        quiet, self.quiet = self.quiet, False
        self.print(*objects, **options)
        self.quiet = quiet

    def result(self, *objects: Any, **options: Any) -> None:
        """Prints what the command was called for."""
        self._output.print(*objects, **options)
        sys.stdout.flush()
        self._log(*objects, **options)

    def _log(self, *objects: Any, **options: Any) -> None:
        """Adds to the log file, which is not kept open for days."""
        if self._log_file is None:
            return
        with (
            writing(self._log_file),
            self._log_file.open("a", encoding="utf-8") as file,
        ):
            log = PlainConsole(
                file=file, width=_WIDE, soft_wrap=True, no_color=True
            )
            log.print(*objects, **options)
