"""A name for what is your own: a reward or a domain whose source and values tell one run from another.

The name holds the compiled code too, for two functions on one line differ in nothing else: another version of Python
gives another name, and the run is made anew.
"""

import dis
import hashlib
import inspect
import sys
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

_EMPTY = {*vars(type("Empty", (), {})), "__annotations__", "__firstlineno__", "__static_attributes__"}  # of every class


def digest(own: object) -> str | None:
    """A name for what is your own, its text and all that it uses; None if a part has none, as a state."""
    try:
        return hashlib.sha256(repr(_named(own, ())).encode()).hexdigest()[:20]
    except (OSError, TypeError, ValueError, AttributeError, KeyError, RecursionError):  # no text, or of no kind below
        return None


def _named(value: Any, inside: tuple[object, ...]) -> object:
    # a value as nested plain ones; `inside` are the functions that are being named, for one may call itself
    kind = type(value)
    if kind in (type(None), bool, int, float, complex, str, bytes):
        return kind.__name__, repr(value)
    if kind in (list, tuple, dict, set, frozenset):
        items = [_named(item, inside) for item in (value.items() if kind is dict else value)]
        return kind.__name__, sorted(items, key=repr) if kind in (set, frozenset) else items
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype != object:
        return str(value.dtype), value.shape, hashlib.sha256(value.tobytes()).hexdigest()
    if kind is CodeType:  # two lambdas on one line differ in nothing else
        return value.co_code, value.co_names, _named(value.co_consts, inside)
    if isinstance(value, (property, staticmethod, classmethod)):
        return kind.__name__, _named(value.fget if isinstance(value, property) else value.__func__, inside)
    module = value if kind is ModuleType else sys.modules[value.__module__]
    name = getattr(value, "__qualname__", None) or value.__name__
    top, file = module.__name__.partition(".")[0], getattr(module, "__file__", None) or ""
    library = top == "repro" or top in sys.stdlib_module_names or "site-packages" in file
    if library and (kind is ModuleType or vars(module).get(name) is value):
        return module.__name__, name  # Python's, installed or ours: the text may change
    if value in inside:
        return name
    if isinstance(value, type):  # its members, and those of the classes that it is made from
        members = {key: member for key, member in vars(value).items() if key not in _EMPTY}
        return name, _named((members, value.__bases__), (*inside, value))
    if kind is not FunctionType:
        raise TypeError(f"{value!r} has no name")
    used = {name: value.__globals__[name] for name in sorted(_globals(value.__code__)) if name in value.__globals__}
    cells = [cell.cell_contents for cell in value.__closure__ or ()]
    parts = (value.__code__, value.__defaults__, value.__kwdefaults__, cells, used)
    return inspect.cleandoc(inspect.getsource(value)), _named(parts, (*inside, value))


def _globals(code: CodeType) -> set[str]:
    inner = [_globals(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}.union(*inner)
