"""Pickles as data: an interpreter of pickle's instructions that imports and calls nothing that the file names.

Python's unpickler calls what the file names. Restricted ones, torch.load with weights_only among them, still hash
whatever the file uses as a key, and three megabytes of nested tuples then crash the process. Here a class is a `Name`,
an instance of an unknown class a `Stub`, and a key a plain value.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

MAX_INSTRUCTIONS = 2_000_000
"""Of one pickle; the largest known checkpoints have 100 000."""
MAX_KEY = 2**60
"""Of integers as keys: larger ones can be chosen to have equal hashes, and a dict of a million such takes hours."""
MAX_ARGUMENTS = 16
"""Of a known function, and parts of a persistent id: both may be long, and be used many times."""
MAX_NAME = 500
"""Characters of a class's name: it may be joined from the same two strings many times."""

BROKEN = (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError, struct.error)
"""What the interpreter, and the readers of containers, may raise for a broken file beside UnreadableError."""


class UnreadableError(Exception):
    """The file is not data that this package reads; the message completes "the file cannot be read: "."""


class Stream(Protocol):
    """A binary file to read pickles from."""

    def read(self, count: int = ..., /) -> bytes: ...
    def readline(self) -> bytes: ...
    def tell(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Name:
    """A class or a function, as the file names it: "collections.OrderedDict"."""

    text: str


@dataclass(eq=False, repr=False, slots=True)
class Stub:
    """An object of an unknown class, as the pickle describes it. It has no behaviour, not even a repr of its parts."""

    name: str
    arguments: object = ()
    state: object = None
    items: list[object] = field(default_factory=list)


Builder = Callable[..., object]
"""Turns the arguments that a file gives to a known function into data, and checks them."""


class Interpreter:
    """The stack machine of pickle, for data only.

    builders: name of a function or class in the file -> what stands in for it; any other call gives a `Stub`.
    persistent: turns a persistent id, with which torch refers to a storage, into data.
    """

    def __init__(self, builders: Mapping[str, Builder], persistent: Builder):
        self.builders = builders
        self.persistent = persistent

    def read(self, stream: Stream) -> Any:
        """Read one pickle and leave the stream at its end. Raises UnreadableError or one of `BROKEN`."""
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}
        for count, (instruction, argument, _) in enumerate(pickletools.genops(stream)):  # type: ignore[arg-type]
            if instruction.name == "STOP":
                return self.stack.pop()
            if count >= MAX_INSTRUCTIONS:
                raise UnreadableError(f"its pickle has more than {MAX_INSTRUCTIONS} instructions")
            if instruction.name not in _STEPS:
                raise UnreadableError(f"its pickle has the instruction {instruction.name}")
            _STEPS[instruction.name](self, argument)
        raise UnreadableError("its pickle has no end")

    def pop_to_mark(self) -> list[Any]:
        """Pop and return what is above the last mark of the stack."""
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def make(self, what: object, arguments: object) -> object:
        """Return what the builder of that name makes of the arguments, or a Stub if there is none."""
        if not isinstance(what, Name):
            return Stub(type(what).__name__, (what, arguments))
        builder = self.builders.get(what.text)
        if builder is None or not isinstance(arguments, tuple):
            return Stub(what.text, arguments)
        if len(arguments) > MAX_ARGUMENTS:
            raise UnreadableError(f"{what.text} in it has more than {MAX_ARGUMENTS} arguments")
        return builder(*arguments)


def plain_dict(pairs: Iterable[Any]) -> dict[Any, Any]:
    """Make a dict of pairs. Raises UnreadableError for a key that is neither a plain value nor a tuple.

    A tuple becomes a Stub, which nothing can look up: its hash would be that of all it holds, and may be any number.
    """
    made: dict[Any, Any] = {}
    for key, value in pairs:
        if not (isinstance(key, tuple) or _is_plain(key)):
            raise UnreadableError(f"a key of type {type(key).__name__} in its pickle is no plain value")
        made[Stub("tuple", key) if isinstance(key, tuple) else key] = value
    return made


def _is_plain(key: object) -> bool:
    return -MAX_KEY < key < MAX_KEY if isinstance(key, int) else isinstance(key, str | bytes | Name | Stub | None)


def _push(machine: Interpreter, value: object) -> None:
    machine.stack.append(value)


def _pushes(make: Callable[[], object]) -> Callable[[Interpreter, Any], None]:
    return lambda machine, _: machine.stack.append(make())


def _tuple_of(count: int) -> Callable[[Interpreter, Any], None]:
    def step(machine: Interpreter, _: object) -> None:
        machine.stack[-count:] = [tuple(machine.stack[-count:])]

    return step


def _from_mark(make: Callable[[list[Any]], object]) -> Callable[[Interpreter, Any], None]:
    return lambda machine, _: machine.stack.append(make(machine.pop_to_mark()))


def _extend(machine: Interpreter, items: list[Any]) -> None:
    target = machine.stack[-1]
    if not isinstance(target, list | Stub):
        raise UnreadableError("its pickle appends to what is no list")
    (target if isinstance(target, list) else target.items).extend(items)


def _update(machine: Interpreter, flat: list[Any]) -> None:
    target, pairs = machine.stack[-1], list(zip(flat[::2], flat[1::2], strict=True))
    if isinstance(target, Stub):
        target.items.extend(pairs)
    elif isinstance(target, dict):
        target.update(plain_dict(pairs))
    else:
        raise UnreadableError("its pickle sets items of what is no dict")


def _pairs(flat: list[Any]) -> dict[Any, Any]:
    return plain_dict(zip(flat[::2], flat[1::2], strict=True))


def _pop_pair(machine: Interpreter) -> list[Any]:
    value, key = machine.stack.pop(), machine.stack.pop()
    return [key, value]


def _memoise(machine: Interpreter, place: int | None) -> None:
    machine.memo[len(machine.memo) if place is None else place] = machine.stack[-1]


def _reduce(machine: Interpreter, _: object) -> None:
    arguments, what = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.make(what, arguments))


def _new_with_keywords(machine: Interpreter, _: object) -> None:
    keywords, arguments, what = (machine.stack.pop() for _ in range(3))
    machine.stack.append(Stub(what.text if isinstance(what, Name) else "object", (arguments, keywords)))


def _instance(machine: Interpreter, name: str) -> None:
    machine.stack.append(Stub(name[:MAX_NAME].replace(" ", "."), tuple(machine.pop_to_mark())))


def _object(machine: Interpreter, _: object) -> None:
    what, *arguments = machine.pop_to_mark()
    machine.stack.append(Stub(what.text if isinstance(what, Name) else "object", tuple(arguments)))


def _build(machine: Interpreter, _: object) -> None:
    """Set the state of a Stub; other objects, such as dicts with attributes and parameters, do not need theirs."""
    state = machine.stack.pop()
    if isinstance(machine.stack[-1], Stub):
        machine.stack[-1].state = state


def _global(machine: Interpreter, name: str) -> None:
    """Push a name, which pickletools gives as module, space and name."""
    if len(name) > MAX_NAME:
        raise UnreadableError("its pickle names a class at endless length")
    machine.stack.append(Name(name.replace(" ", ".")))


def _stack_global(machine: Interpreter, _: object) -> None:
    _global(machine, " ".join(_pop_pair(machine)))


_VALUES = """INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE
    BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8"""

# Sets become lists, so that their items are not hashed. Extension codes and out-of-band buffers, which no weights use,
# are refused as unknown instructions.
_STEPS: dict[str, Callable[[Interpreter, Any], None]] = {
    **dict.fromkeys(_VALUES.split(), _push),
    "NONE": _pushes(lambda: None),
    "NEWTRUE": _pushes(lambda: True),
    "NEWFALSE": _pushes(lambda: False),
    "EMPTY_LIST": _pushes(list),
    "EMPTY_SET": _pushes(list),
    "EMPTY_DICT": _pushes(dict),
    "EMPTY_TUPLE": _pushes(tuple),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "TUPLE": _from_mark(tuple),
    "LIST": _from_mark(list),
    "FROZENSET": _from_mark(list),
    "DICT": _from_mark(_pairs),
    "APPEND": lambda machine, _: _extend(machine, [machine.stack.pop()]),
    "APPENDS": lambda machine, _: _extend(machine, machine.pop_to_mark()),
    "ADDITEMS": lambda machine, _: _extend(machine, machine.pop_to_mark()),
    "SETITEM": lambda machine, _: _update(machine, _pop_pair(machine)),
    "SETITEMS": lambda machine, _: _update(machine, machine.pop_to_mark()),
    "POP": lambda machine, _: machine.stack.pop(),
    "POP_MARK": lambda machine, _: machine.pop_to_mark().clear(),
    "DUP": lambda machine, _: machine.stack.append(machine.stack[-1]),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _memoise),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda machine, place: _push(machine, machine.memo[place])),
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "NEWOBJ": _reduce,
    "NEWOBJ_EX": _new_with_keywords,
    "INST": _instance,
    "OBJ": _object,
    "BUILD": _build,
    "PERSID": lambda machine, key: _push(machine, machine.persistent(key)),
    "BINPERSID": lambda machine, _: _push(machine, machine.persistent(machine.stack.pop())),
    **dict.fromkeys(("PROTO", "FRAME"), lambda *_: None),
}
