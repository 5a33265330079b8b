"""What the text of a plugin shows, before its import may import Keras."""

import ast
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from medzoo.models.backbones import BACKBONES
from medzoo.plugins import register
from medzoo.plugins.files import Blaming
from medzoo.plugins.register import TARGETS, noting_names
from medzoo.runs.plugins import KINDS, REGISTERED
from medzoo.scores.table import SCORES

# Registering a watcher writes a file.
_DECORATORS = [f"register_{kind}" for kind in (*KINDS, "score")]
# Packages whose import brings no Keras along.
_LIGHT = {*sys.stdlib_module_names, "numpy", "scipy", "pandas", "PIL"}


def may_import_keras(name: str, beside: Path | None = None) -> bool:
    """Says whether the import of a plugin may import Keras.

    Imports inside of functions do not count, as registering calls none.
    """
    path = (beside or Path()) / Path(name).expanduser()
    if not path.is_file():
        return not name.endswith(".py") and _is_module(name)
    return _may_import_keras(path, set())


def _may_import_keras(path: Path, seen: set[Path]) -> bool:
    seen.add(path)
    try:
        left: list[ast.AST] = [*ast.parse(path.read_bytes()).body]
    except (SyntaxError, ValueError):
        return False  # Its import says what is wrong with it.
    while left:
        node = left.pop()
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "."]
        elif not isinstance(node, ast.FunctionDef | ast.Lambda):
            left += ast.iter_child_nodes(node)
        for name in names:
            root = name.partition(".")[0]
            inside = path.with_name(f"{root}.py")
            if inside in seen or name == "medzoo" or root in _LIGHT:
                continue
            if not inside.is_file() or _may_import_keras(inside, seen):
                return True
    return False


def _is_module(name: str) -> bool:
    """Says whether the package of a module is installed or in this process."""
    root = name.partition(".")[0]
    return root in sys.modules or importlib.util.find_spec(root) is not None


def refuse_faults(names: Iterable[str], beside: Path | None = None) -> None:
    """Refuses plugins for faults that their text shows.

    Imports of what is not installed are tried, and functions are registered for
    a moment without their bodies: what fails has the sentence that it has when
    the plugin is imported. Whatever is not written out is left to that.

    Raises:
        PluginError: For the first fault, with file and line.
    """
    with _registering_for_a_moment():
        for name in names:
            path = (beside or Path()) / Path(name).expanduser()
            if path.is_file():
                _rehearse(path.resolve())


@contextmanager
def _registering_for_a_moment() -> Iterator[None]:
    tables: list[dict[Any, Any]] = [TARGETS, REGISTERED, SCORES, BACKBONES]
    before = [dict(table) for table in tables]
    try:
        with noting_names():
            yield
    finally:
        for table, entries in zip(tables, before, strict=True):
            table.clear()
            table.update(entries)


def _rehearse(path: Path) -> None:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return  # Its import says what is wrong with it.
    tree.body = [*_list_missing(tree, path), *_list_stubs(tree)]
    for node in tree.body:
        ast.fix_missing_locations(node)
    decorators = {name: getattr(register, name) for name in _DECORATORS}
    known = {"medzoo": SimpleNamespace(**decorators), **decorators}
    what = f"Plugin `{path.name}` cannot be imported"
    with Blaming(what, folder=str(path.parent)):
        exec(compile(tree, path, "exec"), known)  # noqa: S102 - no user's code


def _list_missing(tree: ast.Module, path: Path) -> Iterator[ast.stmt]:
    """Lists imports of what is not installed."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = ["" if node.level else node.module or ""]
        else:
            continue
        for root in (name.partition(".")[0] for name in names):
            # What follows may be found in folders that these add.
            if root in ("", "sys") or _is_local(path.with_name(root)):
                return
            if not _is_module(root):
                yield ast.copy_location(ast.Import([ast.alias(root)]), node)


def _is_local(path: Path) -> bool:
    return path.is_dir() or path.with_suffix(".py").is_file()


def _list_stubs(tree: ast.Module) -> Iterator[ast.stmt]:
    """Lists registered functions without their bodies and annotations."""
    for node in tree.body:
        match node:
            case ast.FunctionDef(decorator_list=[ast.Call() as call]):
                pass
            case ast.FunctionDef(decorator_list=[called]):
                call = ast.copy_location(ast.Call(called, [], []), called)
            case _:
                continue
        name = ast.unparse(call.func).removeprefix("medzoo.")
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        values = [*given, *node.args.defaults, *node.args.kw_defaults]
        if name not in _DECORATORS or not all(map(_is_written_out, values)):
            continue
        # A function without its body has no content.
        kept = [k for k in call.keywords if k.arg != "version"]
        version = ast.keyword("version", ast.Constant("0"))
        call.keywords = [*kept, version]
        node.decorator_list, node.returns = [call], None
        node.body = [ast.Pass()]
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        yield node


def _is_written_out(value: ast.expr | None) -> bool:
    """Says whether a value needs no name to be known; `None` is left out."""
    names = (ast.Name, ast.Call, ast.Attribute)
    nodes = ast.walk(value) if value else ()
    return not any(isinstance(node, names) for node in nodes)
