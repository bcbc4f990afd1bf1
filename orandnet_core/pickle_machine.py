"""A pickle machine that makes numbers, text, lists, dicts and what it is told to make, and nothing else.

Python's own unpickler trusts its input even where no name is looked up: a memo index of four bytes
has it reserve gigabytes, a tuple of tuples as a dict's key takes 2^n steps to hash, and a state
can set attributes. This one is a plain interpreter of the opcodes that data are written with:

- a name is looked up in a table of builders, never imported, and only a builder can be called;
- a key is text or a whole number, so that hashing it takes no time;
- every step costs a byte of the file, and there are at most `MOST_STEPS`;
- arrays and bytes that builders make are paid from a `Budget`.

So a file takes time and memory in proportion to its own size (`orandnet_core.restricted_pickle` says how
much). The opcodes are those of `pickletools`, which describes each; the stack and the marks work as
described there.
"""

import pickle
import struct
from collections.abc import Callable, Mapping
from pickle import UnpicklingError
from typing import Any

import numpy as np

__all__ = ["Budget", "Machine", "StandIn"]

MOST_STEPS = 8_000_000
_MOST_DIGITS = 40
_KEY_BYTES = 1 << 16

Name = tuple[str, str]


class Budget:
    """Bytes that a file may yet be turned into.

    Args:
        allowed_bytes: in all.
    """

    def __init__(self, allowed_bytes: int):
        self.left_bytes = allowed_bytes

    def pay(self, size_bytes: int) -> None:
        """Take so many bytes; UnpicklingError where there are not as many left."""
        self.left_bytes -= size_bytes
        if self.left_bytes < 0:
            raise UnpicklingError("it would grow to many times its size")


class StandIn:
    """What stands for an object whose state is still to come."""

    __slots__ = ()

    @property
    def made(self) -> Any:
        """What goes on the stack in its place, once it has its state or is recalled."""
        return self

    def set_state(self, state: Any) -> None:
        raise UnpicklingError(f"it gives a state to a {type(self).__name__}")


class _Builder:
    """A name on the stack, with what to call for it; None where it is only ever handed on."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[..., Any] | None):
        self.call = call


class Machine:
    """Runs one pickle.

    Args:
        content: holds the pickle, and maybe more behind it.
        builders: what is called for a name, `(module, name)`; None for names that are only arguments.
        persistent: what is called with a persistent id; without it there are none.
        start: where the pickle begins.

    Attributes:
        position: the next byte; behind the pickle once it has run.
    """

    def __init__(
        self,
        content: bytes,
        builders: Mapping[Name, Callable[..., Any] | None],
        *,
        persistent: Callable[[Any], Any] | None = None,
        start: int = 0,
    ):
        self.position = start
        self._content, self._builders, self._persistent = content, builders, persistent
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        """What the pickle makes.

        Raises:
            UnpicklingError: it asks for what is not admitted, or is damaged; in words.
        """
        content, steps = self._content, _STEPS
        try:
            for _ in range(MOST_STEPS):
                code = content[self.position]
                self.position += 1
                if code == _STOP:
                    return self._pop()
                step = steps[code]
                if step is None:
                    raise UnpicklingError(f"it has the opcode {code:#04x}, which data need not have")
                step(self)
        except (IndexError, struct.error):
            raise UnpicklingError("it is cut short") from None
        raise UnpicklingError(f"it takes more than {MOST_STEPS:,} steps")

    def _pop(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise UnpicklingError("it takes from an empty stack")
        return self._stack.pop()

    def _since_mark(self) -> list[Any]:
        if not self._marks:
            raise UnpicklingError("it ends a group that it did not begin")
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _top(self, kind: type) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise UnpicklingError("it takes from an empty stack")
        if type(self._stack[-1]) is not kind:
            raise UnpicklingError(f"it fills a {type(self._stack[-1]).__name__} like a {kind.__name__}")
        return self._stack[-1]

    def _bytes(self, count: int) -> bytes:
        end = self.position + count
        if count < 0 or end > len(self._content):
            raise UnpicklingError("it is cut short")
        taken = self._content[self.position : end]
        self.position = end
        return taken

    def _number(self, form: struct.Struct) -> Any:
        return form.unpack(self._bytes(form.size))[0]

    def _line(self) -> bytes:
        end = self._content.find(b"\n", self.position)
        if end < 0:
            raise UnpicklingError("it is cut short")
        line = self._content[self.position : end]
        self.position = end + 1
        return line

    def _line_number(self) -> int:
        line = self._line()
        digits = line.removesuffix(b"L").removeprefix(b"-")
        if not digits.isdigit() or len(digits) > _MOST_DIGITS:
            raise UnpicklingError("it has a number that is none")
        return int(line.removesuffix(b"L"))

    # Numbers, text, and the like.

    def _push_int_line(self) -> None:
        if self._content[self.position : self.position + 3] in (b"00\n", b"01\n"):  # protocol 0's booleans
            self._stack.append(self._line() == b"01")
        else:
            self._stack.append(self._line_number())

    def _push_long_line(self) -> None:
        self._stack.append(self._line_number())

    def _push_float_line(self) -> None:
        self._stack.append(float(self._line()[:400]))

    def _push_long(self, size: int) -> None:
        self._stack.append(int.from_bytes(self._bytes(size), "little", signed=True))

    def _push_text(self, size: int) -> None:
        self._stack.append(str(self._bytes(size), "utf-8", "surrogatepass"))

    def _push_old_text(self, size: int) -> None:
        # Python 2 wrote bytes and text alike; this keeps either.
        self._stack.append(str(self._bytes(size), "latin1"))

    def _push_escaped_text(self) -> None:
        self._stack.append(str(self._line(), "raw-unicode-escape"))

    def _push_quoted(self) -> None:
        line = self._line().strip()
        if len(line) < 2 or line[0] not in b"'\"" or line[-1] != line[0]:
            raise UnpicklingError("it has text without quotes")
        text = str(line[1:-1], "latin1").encode("latin1")
        self._stack.append(text.decode("unicode-escape"))

    def _push_bytearray(self) -> None:
        self._stack.append(bytearray(self._bytes(self._number(_U8))))

    # Stack, marks and memo.

    def _mark(self) -> None:
        self._marks.append(len(self._stack))

    def _drop(self) -> None:
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self._pop()

    def _double(self) -> None:
        self._stack.append(self._pop())
        self._stack.append(self._stack[-1])

    def _put(self, index: int) -> None:
        self._memo[index] = self._pop()
        self._stack.append(self._memo[index])

    def _get(self, index: int) -> None:
        if index not in self._memo:
            raise UnpicklingError(f"it recalls number {index}, which it has not kept")
        kept = self._memo[index]
        self._stack.append(kept.made if isinstance(kept, StandIn) else kept)

    # Lists, tuples and dicts.

    def _tuple(self, size: int) -> None:
        items = [self._pop() for _ in range(size)]
        self._stack.append(tuple(reversed(items)))

    def _append(self) -> None:
        item = self._pop()
        self._top(list).append(item)

    def _extend(self) -> None:
        items = self._since_mark()
        self._top(list).extend(items)

    def _set_item(self) -> None:
        value, key = self._pop(), self._pop()
        self._top(dict)[_checked_key(key)] = value

    def _set_items(self) -> None:
        items = self._since_mark()
        self._fill(self._top(dict), items)

    def _marked_dict(self) -> None:
        made: dict[Any, Any] = {}
        self._fill(made, self._since_mark())
        self._stack.append(made)

    def _fill(self, target: dict[Any, Any], items: list[Any]) -> None:
        if len(items) % 2:
            raise UnpicklingError("it has a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_checked_key(key)] = value

    # Names, calls and states.

    def _name(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise UnpicklingError("it asks for a name that is no text")
        if (module, name) not in self._builders:
            raise UnpicklingError(f"it asks for {module[:60]}.{name[:60]}")
        self._stack.append(_Builder(self._builders[module, name]))

    def _name_lines(self) -> None:
        module, name = str(self._line(), "utf-8"), str(self._line(), "utf-8")
        self._name(module, name)

    def _name_from_stack(self) -> None:
        name, module = self._pop(), self._pop()
        self._name(module, name)

    def _call(self) -> None:
        arguments, builder = self._pop(), self._pop()
        if type(builder) is not _Builder or builder.call is None or type(arguments) is not tuple:
            raise UnpicklingError("it calls what cannot be called")
        self._stack.append(builder.call(*arguments))

    def _state(self) -> None:
        state, target = self._pop(), self._pop()
        if not isinstance(target, StandIn):
            raise UnpicklingError(f"it gives a state to a {type(target).__name__}")
        target.set_state(state)
        self._stack.append(target.made)

    def _persistent_id(self) -> None:
        if self._persistent is None:
            raise UnpicklingError("it refers to something outside the file")
        self._stack.append(self._persistent(self._pop()))


def _checked_key(key: Any) -> Any:
    """Text or a whole number of 64 bits: what is hashed at once, and into different places."""
    if type(key) in (str, bytes):
        if len(key) <= _KEY_BYTES:
            return key
    elif type(key) in (int, bool):
        if -(1 << 63) <= key < 1 << 64:
            return key
    elif isinstance(key, np.generic) and key.dtype.kind in "iuU":
        return key.item()
    raise UnpicklingError(f"it has a {type(key).__name__} for a key; text and whole numbers are read")


_U1, _U2, _U4, _U8 = (struct.Struct(form) for form in ("<B", "<H", "<I", "<Q"))
_I4, _F8 = struct.Struct("<i"), struct.Struct(">d")
_STOP = pickle.STOP[0]


def _of_size(push: Callable[[Machine, int], None], form: struct.Struct) -> Callable[[Machine], None]:
    return lambda machine: push(machine, machine._number(form))


def _pushing(make: Callable[[Machine], Any]) -> Callable[[Machine], None]:
    return lambda machine: machine._stack.append(make(machine))


# By opcode, as `pickle` names them; every other opcode is refused.
_BY_NAME: dict[str, Callable[[Machine], None]] = {
    "NONE": _pushing(lambda machine: None),
    "NEWTRUE": _pushing(lambda machine: True),
    "NEWFALSE": _pushing(lambda machine: False),
    "BININT": _pushing(lambda machine: machine._number(_I4)),
    "BININT1": _pushing(lambda machine: machine._number(_U1)),
    "BININT2": _pushing(lambda machine: machine._number(_U2)),
    "BINFLOAT": _pushing(lambda machine: machine._number(_F8)),
    "INT": Machine._push_int_line,
    "LONG": Machine._push_long_line,
    "FLOAT": Machine._push_float_line,
    "LONG1": _of_size(Machine._push_long, _U1),
    "BINUNICODE": _of_size(Machine._push_text, _U4),
    "SHORT_BINUNICODE": _of_size(Machine._push_text, _U1),
    "BINUNICODE8": _of_size(Machine._push_text, _U8),
    "UNICODE": Machine._push_escaped_text,
    "STRING": Machine._push_quoted,
    "BINSTRING": _of_size(Machine._push_old_text, _U4),
    "SHORT_BINSTRING": _of_size(Machine._push_old_text, _U1),
    "BINBYTES": _pushing(lambda machine: machine._bytes(machine._number(_U4))),
    "SHORT_BINBYTES": _pushing(lambda machine: machine._bytes(machine._number(_U1))),
    "BINBYTES8": _pushing(lambda machine: machine._bytes(machine._number(_U8))),
    "BYTEARRAY8": Machine._push_bytearray,
    "PROTO": lambda machine: machine._number(_U1),
    "FRAME": lambda machine: machine._number(_U8),
    "MARK": Machine._mark,
    "POP": Machine._drop,
    "POP_MARK": lambda machine: machine._since_mark().clear(),
    "DUP": Machine._double,
    "MEMOIZE": lambda machine: machine._put(len(machine._memo)),
    "PUT": lambda machine: machine._put(machine._line_number()),
    "BINPUT": _of_size(Machine._put, _U1),
    "LONG_BINPUT": _of_size(Machine._put, _U4),
    "GET": lambda machine: machine._get(machine._line_number()),
    "BINGET": _of_size(Machine._get, _U1),
    "LONG_BINGET": _of_size(Machine._get, _U4),
    "EMPTY_TUPLE": _pushing(lambda machine: ()),
    "EMPTY_LIST": _pushing(lambda machine: []),
    "EMPTY_DICT": _pushing(lambda machine: {}),
    "TUPLE": _pushing(lambda machine: tuple(machine._since_mark())),
    "TUPLE1": lambda machine: machine._tuple(1),
    "TUPLE2": lambda machine: machine._tuple(2),
    "TUPLE3": lambda machine: machine._tuple(3),
    "LIST": _pushing(lambda machine: machine._since_mark()),
    "DICT": Machine._marked_dict,
    "APPEND": Machine._append,
    "APPENDS": Machine._extend,
    "SETITEM": Machine._set_item,
    "SETITEMS": Machine._set_items,
    "GLOBAL": Machine._name_lines,
    "STACK_GLOBAL": Machine._name_from_stack,
    "REDUCE": Machine._call,
    "BUILD": Machine._state,
    "BINPERSID": Machine._persistent_id,
}
_STEPS: list[Callable[[Machine], None] | None] = [None] * 256
for _opcode, _step in _BY_NAME.items():
    _STEPS[getattr(pickle, _opcode)[0]] = _step
