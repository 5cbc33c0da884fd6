"""Read a FHIRPath expression into its tree (grammar: http://hl7.org/fhirpath, normative 2.0)."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from salus.formats.fhirpath.tree import (
    Amount,
    Call,
    Literal,
    Member,
    Moment,
    Node,
    OfKind,
    Operation,
    Place,
    Signed,
    This,
    Variable,
)
from salus.formats.fhirpath.words import Word, words_of, wrong

BINDS = {
    "implies": 1,
    "or": 2,
    "xor": 2,
    "and": 3,
    "in": 4,
    "contains": 4,
    "=": 5,
    "~": 5,
    "!=": 5,
    "!~": 5,
    "<": 6,
    ">": 6,
    "<=": 6,
    ">=": 6,
    "|": 7,
    "is": 8,
    "as": 8,
    "+": 9,
    "-": 9,
    "&": 9,
    "*": 10,
    "/": 10,
    "div": 10,
    "mod": 10,
}
"""How strongly an operator binds its operands."""
CALENDAR = {
    name + plural: name
    for name in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
    for plural in ("", "s")
}
DEEPEST = 100
"""Brackets in brackets that an expression may have."""


@lru_cache(maxsize=4096)
def parse(expression: str) -> Node:
    """Read an expression; raises ExpressionWrong (SAL-116) where it is none.

    >>> parse("name.family").name
    'family'
    """
    reader = _Reader(expression)
    node = reader.expression(0)
    if reader.word.kind != "end":
        raise wrong(expression, reader.word.at, "the expression should have ended")
    return node


class _Reader:
    """Goes through the words once."""

    def __init__(self, expression: str) -> None:
        self.text, self.words, self.at, self.depth = expression, words_of(expression), 0, 0

    @property
    def word(self) -> Word:
        return self.words[self.at]

    def take(self) -> Word:
        """The word that comes now; the end stays where it is."""
        word = self.word
        self.at += word.kind != "end"
        return word

    def expect(self, sign: str) -> None:
        if self.word.kind != "sign" or self.word.text != sign:
            raise wrong(self.text, self.word.at, f"'{sign}' is missing")
        self.at += 1

    def is_sign(self, sign: str) -> bool:
        return self.word.kind == "sign" and self.word.text == sign

    def expression(self, least: int) -> Node:
        """Read operands as long as their operators bind at least so strongly."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise wrong(self.text, self.word.at, "too many brackets in brackets")
        left = self.operand()
        while self.word.kind in ("sign", "name") and BINDS.get(self.word.text, -1) >= least + 1:
            sign = self.take().text
            if sign in ("is", "as"):
                left = OfKind(sign, left, self.kind())
            else:
                left = Operation(sign, left, self.expression(BINDS[sign]))
        self.depth -= 1
        return left

    def operand(self) -> Node:
        """A term with all that hangs on it by dots and brackets, and its sign."""
        if self.word.kind == "sign" and self.word.text in "+-":
            return Signed(self.take().text, self.operand())
        node = self.term()
        while True:
            if self.is_sign("."):
                self.take()
                node = self.invocation(node)
            elif self.is_sign("["):
                self.take()
                node = Place(node, self.expression(0))
                self.expect("]")
            else:
                return node

    def term(self) -> Node:
        """A value, a name, a function, or an expression in brackets."""
        word = self.word
        if (
            word.kind in ("name", "quoted") and word.text not in ("true", "false")
        ) or word.kind == "variable":
            return self.invocation(This())
        self.take()
        if word.kind == "sign" and word.text == "(":
            node = self.expression(0)
            self.expect(")")
            return node
        if word.kind == "sign" and word.text == "{":
            self.expect("}")
            return Literal(None)
        if word.kind == "constant":
            return Variable(word.text)
        return Literal(self.value(word))

    def value(self, word: Word) -> str | bool | int | Decimal | Moment | Amount:
        """What a literal stands for."""
        if word.kind == "string":
            return word.text
        if word.kind == "name":
            return word.text == "true"
        if word.kind in ("date", "datetime", "time"):
            kind = {"datetime": "dateTime"}.get(word.kind, word.kind)
            return Moment(kind, word.text.removesuffix("T"))
        if word.kind == "number":
            return self.number(word)
        raise wrong(self.text, word.at, "a value is missing")

    def number(self, word: Word) -> int | Decimal | Amount:
        """A number, with its unit where one follows."""
        if self.word.kind == "string":
            return Amount(Decimal(word.text), self.take().text)
        if self.word.kind == "name" and self.word.text in CALENDAR:
            return Amount(Decimal(word.text), CALENDAR[self.take().text])
        return Decimal(word.text) if "." in word.text else int(word.text)

    def invocation(self, of: Node) -> Node:
        """A name, a function or a variable, asked of what stands before it."""
        word = self.take()
        if word.kind == "variable":
            return This() if word.text == "$this" else Variable(word.text)
        if word.kind not in ("name", "quoted"):
            raise wrong(self.text, word.at, "a name is missing")
        if not self.is_sign("("):
            return Member(of, word.text)
        self.take()
        arguments: list[Node] = []
        while not self.is_sign(")"):
            if arguments:
                self.expect(",")
            arguments.append(self.expression(0))
        self.take()
        return Call(of, word.text, tuple(arguments))

    def kind(self) -> str:
        """The name of a type, such as ``Patient``, ``FHIR.Quantity`` or ``System.String``."""
        parts = [self.take()]
        while self.is_sign("."):
            self.take()
            parts.append(self.take())
        if any(part.kind not in ("name", "quoted") for part in parts):
            raise wrong(self.text, parts[0].at, "the name of a type is missing")
        return ".".join(part.text for part in parts)
