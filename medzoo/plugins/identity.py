"""Identity of code by its content: what it does, not how it is laid out.

The content of a function is its source without comments, docstrings and layout,
and that of all that it uses: functions and classes of its module and of local
modules by their source, constants by their values, local modules that it uses
as a whole by their text, and what is installed by its name.
"""

import ast
import functools
import hashlib
import inspect
import json
import linecache
import sys
import sysconfig
import textwrap
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medzoo.runs.plugins import KINDS

_PLAIN = (type(None), bool, int, float, complex, str, bytes, Path)
_FOLDERS = tuple(
    str(Path(sysconfig.get_path(name)).resolve())
    for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
# Whatever their folder, they are named and not read.
_NAMED = {"medzoo", "keras", "tensorflow", "jax", "numpy", "builtins"}
DIGITS = 16
_DECORATORS = {f"register_{kind}" for kind in (*KINDS, "score")}
# Of objects of Keras, these are fields of a run.
RATES = ("learning_rate", "weight_decay")


class Unidentified(ValueError):
    """Code or a value whose content cannot be told."""


def identify(target: Any, version: str | None = None) -> str:
    """Returns a digest of the content of a function, class or value.

    Args:
        target: What is identified.
        version: Stands for the content where it is given.

    Raises:
        Unidentified: If it uses what has no source and no value, such as an
            open file.

    Example:

    >>> identify(print, version="3") == identify(print, version="4")
    False
    """
    if version is not None:
        return digest(["version", version])
    contents = _Contents(target)
    contents.add("", target)
    return digest(sorted(contents.parts.items()))


def identify_object(config: Mapping[str, Any], own: type | None) -> str:
    """Returns a digest of the content of an object of Keras.

    Args:
        config: As Keras serialises it.
        own: Its class, if that is not one of Keras.

    Raises:
        Unidentified: If the configuration holds what is not of Keras, and is
            known there by its name alone.
    """
    # Keras makes up a name for each object of a class that gives none.
    left_out = (*RATES, "name") if own else RATES
    inner = {k: v for k, v in config["config"].items() if k not in left_out}
    foreign = _find_foreign(inner)
    if foreign:
        raise Unidentified(
            f"`{config['class_name']}` holds `{foreign}`, whose content its "
            "configuration does not tell. Expected plain values and what Keras "
            "has."
        )
    content: list[Any] = [config["class_name"], inner]
    return digest([*content, identify(own)] if own else content)


def is_of_keras(code: Any) -> bool:
    """Says whether a class or function is one of Keras."""
    return str(code.__module__).partition(".")[0] == "keras"


def _find_foreign(config: Any) -> str:
    """Returns the name of something serialised that is not of Keras."""
    if isinstance(config, Mapping):
        module = str(config.get("module", "keras"))
        if "class_name" in config and module.partition(".")[0] != "keras":
            return str(config["class_name"])
        config = list(config.values())
    if isinstance(config, list | tuple):
        return next(filter(None, map(_find_foreign, config)), "")
    return ""


def digest(content: Any) -> str:
    """Returns the digest of a JSON value."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


class _Contents:
    """The parts of the content of a target, by their places."""

    def __init__(self, target: Any) -> None:
        module = getattr(target, "__module__", None) or "builtins"
        # An installed package is local to its own plugins.
        self._home = module.partition(".")[0]
        self.parts: dict[str, str] = {}
        self._seen: list[Any] = []

    def add(self, place: str, value: Any) -> None:
        """Adds what a name stands for, and all that it uses.

        Args:
            place: Where the name is, for parts and sentences.
            value: What it stands for.
        """
        if isinstance(value, functools.partial):
            self.add(f"{place}.func", value.func)
            self.add(f"{place}.args", [value.args, value.keywords])
        elif isinstance(value, types.ModuleType):
            self._add_module(place, value)
        elif isinstance(value, types.FunctionType | type):
            self._add_code(place, value)
        elif isinstance(value, types.MethodType):
            self._add_code(place, value.__func__)
        else:
            self.parts[place] = self._describe(place, value)

    def _is_local(self, module: str | None) -> bool:
        top = (module or "").partition(".")[0]
        if top in _NAMED:
            return False
        if top in ("__main__", self._home):
            return True
        file = getattr(sys.modules.get(module or ""), "__file__", None)
        if file is None:
            return False
        path = str(Path(file).resolve())
        return not path.startswith(_FOLDERS)

    def _add_code(self, place: str, code: Any) -> None:
        """Adds a function or class."""
        # Where it is defined is no part of it, but its class is.
        called = code.__qualname__.rpartition("<locals>.")[2]
        made_up = isinstance(code, types.FunctionType) and (
            code.__module__ in (None, "builtins")
        )
        if made_up:
            raise Unidentified(f"There is no source of `{called}`.")
        if not self._is_local(code.__module__):
            self.parts[place] = f"{code.__module__}.{called}"
            return
        # Where a local module lies is no part of its content.
        self.parts[place] = f"local {called}"
        if any(code is seen for seen in self._seen):
            return
        self._seen.append(code)
        node = parse_code(code)
        key = f"source of {called}"
        known = self.parts.get(key)
        text = json.dumps(_dump(node))
        self.parts[key] = text if known in (None, text) else f"{known}{text}"
        for used, value in list_used(code, node).items():
            self.add(f"{called}:{used}", value)
        for used, value in list_enclosed(code).items():
            if isinstance(value, list | dict | set):
                raise Unidentified(
                    f"`{called}` holds `{used}`, a "
                    f"{type(value).__name__} of an outer function, which may "
                    "change between runs."
                )
            self.add(f"{called}:{used}", value)

    def _add_module(self, place: str, module: types.ModuleType) -> None:
        """Adds a module by its name, or by its text where it is local."""
        if not self._is_local(module.__name__):
            self.parts[place] = module.__name__
            return
        self.parts[place] = f"local {module.__name__}"
        if any(module is seen for seen in self._seen):
            return
        self._seen.append(module)
        key = f"text of {module.__name__}"
        try:
            tree = ast.parse(inspect.getsource(module))
        except (OSError, TypeError):
            self.parts[key] = "a package without text"
            return
        self.parts[key] = json.dumps(_dump(tree))
        for used, value in vars(module).items():
            if isinstance(value, types.ModuleType):
                self._add_module(f"{module.__name__}:{used}", value)
            elif isinstance(value, types.FunctionType | type):
                foreign = value.__module__ != module.__name__
                if foreign and self._is_local(value.__module__):
                    self._add_code(f"{module.__name__}:{used}", value)

    def _describe(self, place: str, value: Any) -> str:
        """Writes a value as text that is equal for equal values."""
        if isinstance(value, _PLAIN):
            return repr(value)
        if isinstance(value, Mapping):
            items = [
                (self._describe(place, k), self._nested(place, v))
                for k, v in value.items()
            ]
            return f"{{{sorted(items)}}}"
        if isinstance(value, list | tuple):
            return f"[{[self._nested(place, each) for each in value]}]"
        if isinstance(value, set | frozenset):
            return f"{{{sorted(self._nested(place, each) for each in value)}}}"
        if hasattr(value, "dtype") and hasattr(value, "tobytes"):
            content = hashlib.sha256(value.tobytes()).hexdigest()
            return f"{value.dtype} {value.shape} {content}"
        if place and _is_layer(value):
            raise Unidentified(
                f"`{place}` is a layer that all runs of a process would share, "
                "with its name, its weights and its random numbers. Make it "
                "inside of the function."
            )
        if callable(getattr(value, "get_config", None)):
            config = self._nested(place, value.get_config())
            return f"{type(value).__qualname__} {config}"
        module = getattr(value, "__module__", None) or type(value).__module__
        if isinstance(module, str) and not self._is_local(module):
            named = getattr(value, "__qualname__", None)
            named = named or getattr(value, "__name__", None)
            if isinstance(named, str):
                return f"{module}.{named}"
            if module in ("typing", "types", "collections.abc"):
                return repr(value)
        raise Unidentified(
            f"{f'`{place}`' if place else 'It'} is of type "
            f"{type(value).__module__}.{type(value).__qualname__}, whose "
            "content cannot be told."
        )

    def _nested(self, place: str, value: Any) -> str:
        if isinstance(value, types.FunctionType | type | types.ModuleType):
            self.add(f"{place}[{len(self.parts)}]", value)
            return getattr(value, "__qualname__", value.__name__)
        return self._describe(place, value)


def _is_layer(value: Any) -> bool:
    """Says whether a value is a layer or model of Keras, without Keras."""
    return any(
        base.__name__ == "Layer" and base.__module__.startswith("keras.")
        for base in type(value).__mro__
    )


def parse_code(code: Any) -> ast.AST:
    """Returns the syntax of a function or class.

    Raises:
        Unidentified: If there is no source, or it is not a statement of its
            own.
    """
    name = code.__qualname__
    if name.endswith("<lambda>"):
        raise Unidentified(
            "A lambda has no source of its own. Write a function with a name."
        )
    linecache.checkcache()
    try:
        text = textwrap.dedent(inspect.getsource(code))
        node = ast.parse(text).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        raise Unidentified(f"There is no source of `{name}`.") from None
    if getattr(node, "name", None) != code.__name__:
        raise Unidentified(f"There is no source of `{name}`.")
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        kept = [d for d in node.decorator_list if not _registers(d)]
        node.decorator_list = kept
    return node


def list_used(code: Any, node: ast.AST) -> dict[str, Any]:
    """Returns what the names that a function or class uses stand for."""
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    module = sys.modules.get(code.__module__)
    known = getattr(code, "__globals__", None) or vars(module or types)
    if isinstance(code, types.FunctionType):
        names -= set(code.__code__.co_varnames + code.__code__.co_freevars)
    return {n: known[n] for n in sorted(names) if n in known}


def list_enclosed(code: Any) -> dict[str, Any]:
    """Returns the values of outer functions that a function or class holds."""
    found: dict[str, Any] = {}
    if isinstance(code, type):
        for method in _list_methods(code):
            found |= list_enclosed(method)
        found.pop("__class__", None)  # As `super` has it.
        return found
    cells = getattr(code, "__closure__", None) or ()
    names = code.__code__.co_freevars if cells else ()
    for name, cell in zip(names, cells, strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # `__class__` of a class in the making.
            continue
    return found


def _list_methods(code: type) -> list[types.FunctionType]:
    """Lists the functions that are written in a class."""
    try:
        file = Path(inspect.getfile(code)).name
    except (TypeError, OSError):
        return []
    values = [
        getattr(value, "fget", getattr(value, "__func__", value))
        for value in vars(code).values()
    ]
    return [
        value
        for value in values
        # Those that a decorator makes, such as of a dataclass, hold their own.
        if isinstance(value, types.FunctionType)
        and Path(value.__code__.co_filename).name == file
    ]


def _registers(node: ast.expr) -> bool:
    """Says whether a decorator is one of `medzoo.register_*`."""
    called = node.func if isinstance(node, ast.Call) else node
    name = getattr(called, "attr", getattr(called, "id", ""))
    return name in _DECORATORS


def _dump(node: Any) -> Any:
    """Returns syntax as JSON, without docstrings and decorators of medzoo.

    Empty fields are left out, so that a version of Python which adds one
    changes nothing.
    """
    if isinstance(node, list):
        return [_dump(each) for each in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = dict(ast.iter_fields(node))
    for name in ("ctx", "kind", "type_comment"):
        fields.pop(name, None)
    body = fields.get("body")
    if isinstance(body, list) and _is_text(body[0] if body else None):
        fields["body"] = body[1:]
    if "decorator_list" in fields:
        kept = [d for d in fields["decorator_list"] if not _registers(d)]
        fields["decorator_list"] = kept
    found = {k: _dump(v) for k, v in fields.items() if v not in (None, [])}
    return [type(node).__name__, found]


def _is_text(node: Any) -> bool:
    """Says whether a statement is a text and nothing else: a docstring."""
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)
