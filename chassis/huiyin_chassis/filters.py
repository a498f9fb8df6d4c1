"""Filters and orders of listings: a subset of AIP-160, compiled to SQL against declared fields.

`grade >= GRADE_LARGE AND (place = "places/A市" OR NOT drill = true)`: comparisons joined by AND, OR and NOT or -; OR
binds tighter than AND, as AIP-160 has it. Bare words, functions and traversal are refused with the remedy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import ColumnElement, and_, not_, or_, true

from huiyin_chassis import clock
from huiyin_chassis.errors import InvalidArgument

_MAX_DEPTH: Final = 20
_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<operator><=|>=|!=|=|<|>|:)|(?P<bracket>[()])
    |(?P<word>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-][\d:]+)?|[^\s()<>=!:"']+))""",
    re.VERBOSE,
)

Compare = Callable[[str, str], ColumnElement[bool]]
"""(operator, value as written) → clause; raises ValueError with what is wrong with the value."""

_Operation = Callable[[Any, Any], "ColumnElement[bool]"]

_OPERATIONS: Final[dict[str, _Operation]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def text_field(column: ColumnElement[Any]) -> Compare:
    """A string; `*` at an end of the value matches anything there, and `:` means contains."""

    def compare(operator: str, value: str) -> ColumnElement[bool]:
        if operator == ":":
            return column.contains(value, autoescape=True)
        if operator in ("=", "!=") and "*" in (value[:1], value[-1:]):
            inner = value.strip("*")
            if value[:1] == value[-1:] == "*":
                found = column.contains(inner, autoescape=True)
            elif value.endswith("*"):
                found = column.startswith(inner, autoescape=True)
            else:
                found = column.endswith(inner, autoescape=True)
            return found if operator == "=" else not_(found)
        return _operation(operator, ("=", "!=", "<", "<=", ">", ">="))(column, value)

    return compare


def name_field(column: ColumnElement[Any], collection: str) -> Compare:
    """A resource name whose id the column holds, such as cases/… in a column of case ids."""

    def compare(operator: str, value: str) -> ColumnElement[bool]:
        return _operation(operator, ("=", "!="))(column, value.removeprefix(f"{collection}/"))

    return compare


def path_field(column: ColumnElement[Any], collection: str) -> Compare:
    """A topic or a place by its path: the node and all below it. The column holds the path without its collection."""

    def compare(operator: str, value: str) -> ColumnElement[bool]:
        _operation(operator, ("=", "!="))
        found = within(column, value.removeprefix(f"{collection}/"))
        return found if operator == "=" else not_(found)

    return compare


def within(column: ColumnElement[Any], path: str) -> ColumnElement[bool]:
    """Paths that are `path` or lie below it; by range, so that an index serves it."""
    # "/" follows "." in every collation by code point, so the range holds exactly what begins with path + ".".
    # One range around both first: most rows lie outside of it, and are compared no further.
    return and_(column >= path, column < f"{path}/", or_(column == path, column > f"{path}."))


def number_field(column: ColumnElement[Any]) -> Compare:
    """A whole number."""

    def compare(operator: str, value: str) -> ColumnElement[bool]:
        if not re.fullmatch(r"[+-]?\d{1,18}", value):
            raise ValueError("give a whole number")
        return _operation(operator, tuple(_OPERATIONS))(column, int(value))

    return compare


def decimal_field(column: ColumnElement[Any]) -> Compare:
    """A number with or without decimals, such as 0.6."""

    def compare(operator: str, value: str) -> ColumnElement[bool]:
        if not re.fullmatch(r"[+-]?\d{1,18}(\.\d{1,18})?", value):
            raise ValueError("give a number such as 0.6")
        return _operation(operator, tuple(_OPERATIONS))(column, float(value))

    return compare


def numbered_field(column: ColumnElement[Any], collection: str) -> Compare:
    """A resource name that ends in a number, which the column holds, such as topicModels/3; "" is the number 0."""

    def compare(operator: str, value: str) -> ColumnElement[bool]:
        number = value.removeprefix(f"{collection}/") or "0"
        if not re.fullmatch(r"\d{1,18}", number):
            raise ValueError(f"give a name such as {collection}/3")
        return _operation(operator, ("=", "!="))(column, int(number))

    return compare


def boolean_field(column: ColumnElement[Any]) -> Compare:
    """true or false."""

    def compare(operator: str, value: str) -> ColumnElement[bool]:
        if value not in ("true", "false"):
            raise ValueError("give true or false")
        return _operation(operator, ("=", "!="))(column, value == "true")

    return compare


def time_field(column: ColumnElement[Any]) -> Compare:
    """An RFC 3339 time, such as "2026-03-01T08:00:00+08:00"; the column holds microseconds."""

    def compare(operator: str, value: str) -> ColumnElement[bool]:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError('give a time in RFC 3339, e.g. "2026-03-01T08:00:00Z"') from None
        micros = clock.micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        return _operation(operator, tuple(_OPERATIONS))(column, micros)

    return compare


class EnumNames(Protocol):
    """A generated enum: gives its (name, number) pairs."""

    def items(self) -> Sequence[tuple[str, Any]]:
        """Every value's name and number."""


def enum_field(column: ColumnElement[Any], enum: EnumNames, prefix: str) -> Compare:
    """A value of an enum by its name, with or without the enum's prefix; the column holds its number."""

    def compare(operator: str, value: str) -> ColumnElement[bool]:
        known = dict(enum.items())
        number = known.get(value, known.get(prefix + value))
        if number is None:
            raise ValueError(f"choose one of {', '.join(name for name, key in known.items() if key)}")
        return _operation(operator, tuple(_OPERATIONS))(column, number)

    return compare


def compile_filter(text: str, fields: Mapping[str, Compare]) -> ColumnElement[bool]:
    """The clause of a filter; of an empty one, TRUE. Raises InvalidArgument on `filter`, naming the place."""
    tokens = _tokens(text)
    if not tokens:
        return true()
    parser = _Parser(tokens, fields)
    clause = parser.expression(0)
    if parser.rest:
        raise _wrong(parser.rest[0], "join comparisons by AND or OR")
    return clause


def parse_order(
    text: str, columns: Mapping[str, ColumnElement[Any]], default: str
) -> list[tuple[ColumnElement[Any], bool]]:
    """The columns of an order such as "grade desc, create_time", each with whether it descends."""
    order = []
    for part in (text or default).split(","):
        match = re.fullmatch(r"\s*(\w+)(?:\s+(asc|desc))?\s*", part)
        if match is None or match[1] not in columns:
            raise InvalidArgument(
                "order_by",
                f"{part.strip()!r} cannot be ordered by; choose of {', '.join(columns)}, each may be followed by desc",
                "ORDER_INVALID",
            )
        order.append((columns[match[1]], match[2] == "desc"))
    return order


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


@dataclass
class _Parser:
    rest: list[_Token]
    fields: Mapping[str, Compare]

    def expression(self, depth: int) -> ColumnElement[bool]:
        terms = [self.factor(depth)]
        while self._word("AND"):
            terms.append(self.factor(depth))
        return and_(*terms) if len(terms) > 1 else terms[0]

    def factor(self, depth: int) -> ColumnElement[bool]:
        terms = [self.term(depth)]
        while self._word("OR"):
            terms.append(self.term(depth))
        return or_(*terms) if len(terms) > 1 else terms[0]

    def term(self, depth: int) -> ColumnElement[bool]:
        if depth > _MAX_DEPTH:
            raise InvalidArgument("filter", "is nested too deep; use fewer brackets and NOTs", "FILTER_INVALID")
        if self._word("NOT"):
            return not_(self.term(depth + 1))
        token = self._next("a comparison such as drill = false")
        if token.kind == "word" and token.text.startswith("-"):
            self.rest.insert(0, _Token("word", token.text[1:], token.position + 1))
            return not_(self.term(depth + 1))
        if token.text == "(" and token.kind == "bracket":
            clause = self.expression(depth + 1)
            closing = self._next("a closing bracket")
            if closing.text != ")":
                raise _wrong(closing, "a closing bracket is expected here")
            return clause
        return self._comparison(token)

    def _comparison(self, token: _Token) -> ColumnElement[bool]:
        compare = self.fields.get(token.text) if token.kind == "word" else None
        if compare is None:
            raise _wrong(token, f"is not a field; choose of {', '.join(self.fields)}")
        operator = self._next("an operator")
        if operator.kind != "operator":
            raise _wrong(operator, "an operator is expected here: = != < <= > >= or :")
        value = self._next("a value")
        if value.kind not in ("word", "string"):
            raise _wrong(value, "a value is expected here")
        try:
            return compare(operator.text, value.text)
        except ValueError as error:
            raise _wrong(value, str(error)) from None

    def _word(self, word: str) -> bool:
        if self.rest and self.rest[0].kind == "word" and self.rest[0].text == word:
            self.rest.pop(0)
            return True
        return False

    def _next(self, expected: str) -> _Token:
        if not self.rest:
            raise InvalidArgument("filter", f"ends where {expected} is expected", "FILTER_INVALID")
        return self.rest.pop(0)


def _tokens(text: str) -> list[_Token]:
    tokens, position = [], 0
    text = text.rstrip()
    if "\x00" in text:  # PostgreSQL takes none
        raise InvalidArgument("filter", "holds a NUL character; remove it", "FILTER_INVALID")
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _wrong(_Token("", text[position:].strip()[:20], position), "cannot be read; close what is quoted")
        kind = str(match.lastgroup)
        value = match[kind]
        if kind == "string":
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        tokens.append(_Token(kind, value, match.start(kind)))
        position = match.end()
    return tokens


def _operation(operator: str, allowed: Sequence[str]) -> _Operation:
    if operator not in allowed:
        raise ValueError(f"the operator {operator} does not apply; use one of {' '.join(allowed)}")
    return _OPERATIONS[operator]


def _wrong(token: _Token, why: str) -> InvalidArgument:
    return InvalidArgument("filter", f"at character {token.position + 1}, {token.text!r}: {why}", "FILTER_INVALID")
