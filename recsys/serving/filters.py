"""Filters on items: a small typed grammar, read by recursive descent and written back.

    filter     = all { "or" all }
    all        = one { "and" one }
    one        = "not" one | "(" filter ")" | condition
    condition  = "in_stock"
               | "category" "=" text
               | "price" ( "<" | "<=" | ">" | ">=" ) number
               | "attribute" text "=" text
    text       = a string as in JSON, with its double quotes
    number     = a number as in JSON

Words are written in small letters. An item without a price meets no condition on the price, and so it does meet "not"
of one.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import NamedTuple, NoReturn, TypeAlias

from recsys.errors import InputError

MAX_TEXT = 2000
"""Characters of a filter: below what proxies take as a query."""
MAX_DEPTH = 8
"""How deep conditions may be nested: more than a page of a shop has, and no danger to a stack."""
MAX_CONDITIONS = 32
"""How many conditions a filter may have: each is a pass over the catalogue."""


class Comparison(StrEnum):
    """How a price is compared."""

    BELOW = "<"
    AT_MOST = "<="
    ABOVE = ">"
    AT_LEAST = ">="


@dataclass(frozen=True, slots=True)
class InStock:
    """The item can be sold now."""


@dataclass(frozen=True, slots=True)
class Category:
    """The item is of this category."""

    name: str


@dataclass(frozen=True, slots=True)
class Price:
    """The item's price compares so with the amount."""

    comparison: Comparison
    amount: float


@dataclass(frozen=True, slots=True)
class Attribute:
    """The item's attribute of this name has this value."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: "Filter"


@dataclass(frozen=True, slots=True)
class And:
    """Every part holds; there are at least two."""

    parts: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of the parts holds; there are at least two."""

    parts: "tuple[Filter, ...]"


Condition: TypeAlias = InStock | Category | Price | Attribute
Filter: TypeAlias = Condition | Not | And | Or


def parse_filter(text: str) -> Filter:
    """The filter that the text says.

    Raises:
        InputError: it is longer, deeper or has more conditions than allowed, or is no filter; the message says at
            which character. The text is not repeated.
    """
    if len(text) > MAX_TEXT:
        raise _fault(MAX_TEXT + 1, f"at most {MAX_TEXT} characters", "more")
    return check_size(_Reader(text).whole())


def check_size(filter_: Filter) -> Filter:
    """The filter, if it is within the limits on depth and conditions.

    Raises:
        InputError: it is not.
    """
    depth, count = _depth(filter_), sum(1 for _ in conditions(filter_))
    if depth > MAX_DEPTH or count > MAX_CONDITIONS:
        msg = (
            f"expected a filter of at most {MAX_CONDITIONS} conditions, {MAX_DEPTH} deep, "
            f"got {count} conditions, {depth} deep; ask for less at once"
        )
        raise InputError(msg)
    return filter_


def conditions(filter_: Filter) -> Iterator[Condition]:
    """The conditions in the filter, from left to right."""
    match filter_:
        case And(parts) | Or(parts):
            yield from chain.from_iterable(map(conditions, parts))
        case Not(part):
            yield from conditions(part)
        case condition:
            yield condition


def format_filter(filter_: Filter) -> str:
    """The text of a filter, which `parse_filter` reads as the same filter."""
    match filter_:
        case Not(part):
            return f"not {_enclosed(part)}"
        case And(parts):
            return " and ".join(map(_enclosed, parts))
        case Or(parts):
            return " or ".join(map(_enclosed, parts))
        case condition:
            return _format_condition(condition)


def _format_condition(condition: Condition) -> str:
    match condition:
        case InStock():
            return "in_stock"
        case Category(name):
            return f"category = {json.dumps(name)}"
        case Price(comparison, amount):
            return f"price {comparison} {amount!r}"
        case Attribute(name, value):
            return f"attribute {json.dumps(name)} = {json.dumps(value)}"


def _enclosed(part: Filter) -> str:
    text = format_filter(part)
    return f"({text})" if isinstance(part, And | Or) else text


def _depth(filter_: Filter) -> int:
    match filter_:
        case And(parts) | Or(parts):
            return 1 + max(map(_depth, parts))
        case Not(part):
            return 1 + _depth(part)
    return 1


def _fault(character: int, expected: str, found: str) -> InputError:
    return InputError(f"expected {expected} at character {character} of the filter, got {found}; correct it there")


class _Token(NamedTuple):
    kind: str
    text: str
    at: int
    """The first character, counted from 1."""


TOKEN = re.compile(
    r'(?P<text>"(?:[^"\\\x00-\x1f]|\\.)*")|(?P<number>-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)'
    r"|(?P<sign><=|>=|<|>|=|\(|\))|(?P<word>[a-z_]+)|(?P<character>\S)",
    re.ASCII,
)
END = "the end"


class _Reader:
    """Reads a filter from left to right, one token ahead."""

    def __init__(self, text: str) -> None:
        found = [_Token(str(match.lastgroup), match.group(), match.start() + 1) for match in TOKEN.finditer(text)]
        self._tokens = iter([*found, _Token(END, "", len(text) + 1)])
        self._next = next(self._tokens)
        self._depth = 0

    def whole(self) -> Filter:
        """The filter that takes up the whole text."""
        found = self._any()
        if self._next.kind != END:
            self._refuse("`and`, `or` or the end")
        return found

    def _any(self) -> Filter:
        parts = self._joined("or", self._all)
        return parts[0] if len(parts) == 1 else Or(parts)

    def _all(self) -> Filter:
        parts = self._joined("and", self._one)
        return parts[0] if len(parts) == 1 else And(parts)

    def _joined(self, word: str, read: Callable[[], Filter]) -> tuple[Filter, ...]:
        parts = [read()]
        while self._takes(word):
            parts.append(read())
        return tuple(parts)

    def _one(self) -> Filter:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._refuse(f"at most {MAX_DEPTH} conditions within each other")
        found = self._inner()
        self._depth -= 1
        return found

    def _inner(self) -> Filter:
        if self._takes("not"):
            return Not(self._one())
        if self._takes("("):
            found = self._any()
            self._must(")")
            return found
        return self._condition()

    def _condition(self) -> Condition:
        if self._takes("in_stock"):
            return InStock()
        if self._takes("category"):
            return Category(self._equal())
        if self._takes("price"):
            return Price(self._comparison(), self._number())
        if not self._takes("attribute"):
            self._refuse("`in_stock`, `category`, `price`, `attribute`, `not` or `(`")
        return Attribute(self._text(), self._equal())

    def _equal(self) -> str:
        self._must("=")
        return self._text()

    def _text(self) -> str:
        token = self._take("text", 'a text in double quotes, as in "green",')
        try:
            value: str = json.loads(token.text)
            value.encode()
        except ValueError as error:
            raise _fault(token.at, "a text written as in JSON", "another escape") from error
        return value

    def _number(self) -> float:
        token = self._take("number", "a number, as in 9.95,")
        if not math.isfinite(value := float(token.text)):
            raise _fault(token.at, "a number that a price can be", "a larger one")
        return value

    def _comparison(self) -> Comparison:
        if self._next.text not in set(Comparison):
            self._refuse("`<`, `<=`, `>` or `>=`")
        return Comparison(self._advance().text)

    def _takes(self, text: str) -> bool:
        """Whether the next token is this word or sign; it is passed if so."""
        found = self._next.text == text
        if found:
            self._advance()
        return found

    def _must(self, text: str) -> None:
        if not self._takes(text):
            self._refuse(f"`{text}`")

    def _take(self, kind: str, expected: str) -> _Token:
        if self._next.kind != kind:
            self._refuse(expected)
        return self._advance()

    def _advance(self) -> _Token:
        token, self._next = self._next, next(self._tokens, self._next)
        return token

    def _refuse(self, expected: str) -> NoReturn:
        found = END if self._next.kind == END else f"another {self._next.kind}"
        raise _fault(self._next.at, expected, found)
