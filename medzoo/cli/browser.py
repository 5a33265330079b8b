"""A page that is shown in the browser of the user."""

import os
import sys
import webbrowser

from medzoo.messages import echo


def show_address(name: str, address: str, *, open_it: bool) -> None:
    """Prints where a study is watched, and opens it where there is a screen.

    Without one, a browser for terminals would take the terminal.
    """
    echo(f"{name} is watched at {address} Ctrl-C ends it.")
    sys.stdout.flush()
    screens = ("DISPLAY", "WAYLAND_DISPLAY")
    has_screen = sys.platform != "linux" or any(map(os.environ.get, screens))
    if open_it and has_screen and sys.stdout.isatty():
        webbrowser.open(address)
