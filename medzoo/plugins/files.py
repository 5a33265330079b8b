"""Files and modules of plugins: imported, with sentences for what fails.

A plugin is the user's code and is run as such, with all that it may do.
"""

import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from medzoo.data.folders import cache_folder
from medzoo.files import replacing
from medzoo.plugins.register import (
    TARGETS,
    Registered,
    add_plugin,
    noting_names,
    show_path,
)
from medzoo.runs.plugins import Plugin

# Files that were imported: the digest of their text and of the modules beside
# them, their module, and what it has registered.
_imported: dict[
    Path, tuple[str, ModuleType, dict[tuple[str, str], Registered]]
] = {}


# Text of each file by its name, by the source of a plugin.
Sources = Mapping[str, Mapping[str, str]]
# Where sources of another machine lie on this one.
PLACED: dict[str, Path] = {}


class PluginError(ValueError):
    """What is wrong with a plugin, with its file and line."""


class Blaming(AbstractContextManager):
    """Words whatever the code of a plugin raises, with file and line.

    Args:
        what: What failed, as a sentence begins.
        folder: Of the plugin, whose lines are named.
        target: A function of the plugin, where its folder is not given.
    """

    def __init__(self, what: str, folder: str = "", target: Any = None) -> None:
        self._what, self._folder, self._target = what, folder, target

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not isinstance(error, Exception) or isinstance(error, PluginError):
            return
        folder = self._folder or locate(self._target)[1]
        place = _find_place(error, folder)
        own = type(error).__module__ == "medzoo.messages"
        reason = str(error) if own else _describe_error(error)
        sentence = f"{self._what}: {place}{reason.rstrip('.')}."
        raise PluginError(sentence) from error


def locate(target: Any) -> tuple[str, str]:
    """Returns the file and line of a function in words, and its folder.

    Both are empty for what has no source, such as an object of Keras.
    """
    try:
        target = inspect.unwrap(target)
        path = Path(inspect.getsourcefile(target) or "")
        _, line = inspect.getsourcelines(target)
    except (TypeError, OSError):
        return "", ""
    return f"{show_path(path)}, line {line}", str(path.parent)


def blame(target: Any, sentence: str) -> PluginError:
    """Returns an error about a function, which begins with its place."""
    place, _ = locate(target)
    return PluginError(f"{place}: {sentence}" if place else sentence)


def _describe_error(error: Exception) -> str:
    """Words an error in one line; of Keras, what it sets in bold."""
    text = error.msg if isinstance(error, SyntaxError) else str(error).strip()
    bold = re.search(r"\x1b\[1m(.*?)\x1b\[0m", text, re.DOTALL)
    first = ((bold[1] if bold else text).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}"


def _find_place(error: Exception, folder: str) -> str:
    """Words the last line of a plugin on the way to an error."""
    if isinstance(error, SyntaxError) and error.filename:
        path = show_path(Path(error.filename))
        return f"{path}, line {error.lineno}: "
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if folder and frame.filename.startswith(folder):
            path = show_path(Path(frame.filename))
            return f"{path}, line {frame.lineno}: "
    return ""


def load_plugins(
    names: Iterable[str], beside: Path | None = None
) -> list[tuple[str, str]]:
    """Imports plugins, which register what they have.

    Args:
        names: Files that end in `.py`, or modules that can be imported.
        beside: Folder that paths are relative to; the current one if `None`.

    Returns:
        Kind and name of all that they register.

    Raises:
        PluginError: If one is missing, raises, registers nothing, or a name
            that is taken.
    """
    with noting_names() as noted:
        for name in names:
            count = len(noted)
            if name.endswith(".py") or "/" in name:
                _load_file(name, beside or Path())
            else:
                _load_module(name)
            if len(noted) == count:
                raise PluginError(
                    f"Plugin `{name}` registers nothing. Expected a function "
                    "below a line such as @medzoo.register_model(width=24)."
                )
        return list(noted)


def _load_file(name: str, beside: Path) -> None:
    path = beside / Path(name).expanduser()
    if not path.is_file():
        raise PluginError(
            f"No plugin `{name}`. Expected a Python file beside the study, or "
            f"a module that can be imported. Looked for: {show_path(path)}."
        )
    import_file(path)


def import_file(path: Path) -> ModuleType:
    """Imports a file, anew if its text or that of modules beside it changed."""
    path = path.resolve()
    if path in _imported:
        known, module, found = _imported[path]
        if known == _hash_beside(path):
            for (kind, _), (target, plugin) in found.items():
                add_plugin(kind, target, plugin)
            return module
    folder = str(path.parent)
    _forget_modules(path)
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(0, folder)
    name = path.stem
    if name in sys.modules:  # Of another place, which stays what it is.
        name += f"_{hashlib.sha256(bytes(path)).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"`{show_path(path)}` is no Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    what = f"Plugin `{path.name}` cannot be imported"
    before = dict(TARGETS)
    with Blaming(what, folder=folder):
        spec.loader.exec_module(module)
    found = {k: v for k, v in TARGETS.items() if before.get(k) is not v}
    _imported[path] = _hash_beside(path), module, found
    return module


def read_sources(plugins: Iterable[Plugin]) -> Sources:
    """Reads the files of plugins and the modules beside them that they use.

    Returns:
        By the source of a plugin, the text of each file by its name.
    """
    paths = {p.source: Path(p.source) for p in plugins if p.source}
    return {
        source: {
            file.name: file.read_text(encoding="utf-8")
            for file in _list_beside(path.resolve())
            if file.is_file()
        }
        for source, path in paths.items()
        if path.suffix == ".py" and path.is_file()
    }


def place_sources(sources: Sources) -> None:
    """Writes sources of another machine where this process imports them."""
    for source, texts in sources.items():
        here = Path(source)
        mine = {n: here.with_name(n) for n in texts}
        if all(
            p.is_file() and p.read_text(encoding="utf-8") == texts[n]
            for n, p in mine.items()
        ):
            continue
        key = hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()
        folder = cache_folder() / "plugins" / key[:16]
        for name, text in texts.items():
            with replacing(folder / name) as part:
                part.write_text(text, encoding="utf-8")
        PLACED[source] = folder / here.name


def _load_module(name: str) -> None:
    what = f"Plugin `{name}` cannot be imported"
    with Blaming(what):
        known = sys.modules.get(name)
        module = known or importlib.import_module(name)
    for (kind, _), (target, plugin) in list(TARGETS.items()):
        if known and getattr(target, "__module__", "") == module.__name__:
            add_plugin(kind, target, plugin)


def _forget_modules(path: Path) -> None:
    """Lets modules beside a plugin be imported anew, and those of its name."""
    folders = {known.parent for known in _imported} | {path.parent}
    names = {found.stem for found in path.parent.glob("*.py")}
    for name, file in _list_modules():
        if file.parent in folders and (name in names or file == path):
            del sys.modules[name]


def _list_beside(path: Path) -> list[Path]:
    """Lists a file and the modules beside it that are imported."""
    beside = {file for _, file in _list_modules() if file.parent == path.parent}
    return sorted({path, *beside})


def _list_modules() -> Iterator[tuple[str, Path]]:
    """Lists modules by name with their files, and imports none of them.

    Those whose import is deferred are imported by a look at an attribute.
    """
    for name, module in list(sys.modules.items()):
        # Libraries of cffi say that they are modules, and have no dictionary.
        if issubclass(type(module), ModuleType):
            file = object.__getattribute__(module, "__dict__").get("__file__")
            if file:
                yield name, Path(file)


def _hash_beside(path: Path) -> str:
    files = _list_beside(path)
    texts = [file.read_bytes() for file in files if file.is_file()]
    return hashlib.sha256(b"\0".join(texts)).hexdigest()
