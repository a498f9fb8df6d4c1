"""JSON interfaces: which values of an answer are the items and their fields, by JMESPath (jmespath.org)."""

from __future__ import annotations

from collections.abc import Mapping as Fields
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, Final
from urllib.parse import quote

import jmespath
from jmespath.exceptions import EmptyExpressionError, JMESPathError, LexerError, ParseError
from jmespath.functions import Functions

from huiyin_collector.model.encodings import decode
from huiyin_collector.model.faults import Fault
from huiyin_collector.model.json_documents import read_json
from huiyin_collector.model.links import absolute
from huiyin_collector.model.markup import plain_text
from huiyin_collector.model.posts import (
    MAX_EXTERNAL_ID,
    MAX_SUBJECT,
    MAX_TEXT,
    MAX_URI,
    REACH,
    Draft,
    clean,
    identifier,
    read_figure,
)
from huiyin_collector.model.rules import PAGE, RuleError
from huiyin_collector.model.times import read_epoch, read_published

MOST_ITEMS: Final = 2000
"""Items that are read of one answer, from its top."""
MOST_PAGES: Final = 100
"""Answers that may be asked for at one visit."""
PLACE: Final = "{token}"
FIELDS: Final = ("id", "subject", "text", "publish_time", "uri", "author", *REACH)
"""What of an item may be mapped."""
_FUNCTIONS: Final = frozenset(Functions.FUNCTION_TABLE)
_TOKEN_LENGTH: Final = 1000


@dataclass(slots=True)
class Answers:
    """What one answer holds. `passed_over`: items without an id or without content; `next_url`: the next answer's."""

    drafts: list[Draft] = field(default_factory=list)
    passed_over: int = 0
    next_url: str = ""


class Mapping:
    """How an interface is read: expressions by the names of FIELDS, and where its next page is. Raises RuleError."""

    def __init__(
        self,
        *,
        items: str,
        fields: Fields[str, str],
        next_page: str = "",
        page_template: str = "",
        second_page: int = 2,
        most_pages: int = 1,
    ) -> None:
        for name, expression in (("items", items), ("id", fields.get("id", ""))):
            if not expression:
                raise RuleError(
                    name, "is needed: an expression such as data.list, or @ for the whole; see jmespath.org"
                )
        if not fields.get("subject") and not fields.get("text"):
            raise RuleError("text", "is needed, or subject: an item without both is no post")
        self._items = _compiled("items", items)
        self._fields = {name: _compiled(name, fields[name]) for name in FIELDS if fields.get(name)}
        self._next = _compiled("next_page", next_page) if next_page else None
        self._template = page_template
        self._second_page = second_page
        self.most_pages = min(max(most_pages, 1), MOST_PAGES)
        self._check_template()

    def _check_template(self) -> None:
        wanted = PLACE if self._next is not None else PAGE
        template = self._template
        if template and (template.count(wanted) != 1 or not template.startswith(("http://", "https://"))):
            raise RuleError("page_template", f"must be a whole address with {wanted} in it once")

    def read(
        self, content: bytes, charset: str, url: str, *, number: int, zone: tzinfo, collected: datetime
    ) -> Answers:
        """Reads the `number`th answer, which was fetched from `url`.

        Raises Fault: EMPTY_BODY, JSON_BROKEN, JSON_TOO_DEEP, MAPPING_FAILED, MAPPING_EMPTY.
        """
        text = decode(content, charset).strip("\ufeff \t\r\n\x00")
        if not text:
            raise Fault("EMPTY_BODY", "the source answered with an empty document")
        document = read_json(text)
        items = self._found("items", self._items, document)
        if not isinstance(items, list):
            raise Fault("MAPPING_EMPTY", "the expression `items` finds no list in the answer; look at it anew")
        answers = Answers(next_url=self._page_after(document, url, number))
        failed: Fault | None = None
        for item in items[:MOST_ITEMS]:
            try:
                draft = self._draft(item, url, zone, collected)
            except Fault as fault:
                draft, failed = None, failed or fault
            if draft is None:
                answers.passed_over += 1
            else:
                answers.drafts.append(draft)
        if failed is not None and not answers.drafts:
            raise failed
        if items and not answers.drafts:
            raise Fault(
                "MAPPING_EMPTY",
                f"none of {len(items)} items has an id and a subject or text by the expressions; look at them anew",
            )
        return answers

    def _draft(self, item: object, url: str, zone: tzinfo, collected: datetime) -> Draft | None:
        found = {name: self._found(name, expression, item) for name, expression in self._fields.items()}
        external_id = identifier(_text(found.get("id")))
        subject = clean(plain_text(_text(found.get("subject")))).replace("\n", " ")[:MAX_SUBJECT]
        text = clean(plain_text(_text(found.get("text"))))[:MAX_TEXT]
        if not external_id or len(external_id) > MAX_EXTERNAL_ID or not (subject or text):
            return None
        uri = absolute(_text(found.get("uri")), url)
        likes, dislikes, replies, shares, views = (_figure(found.get(name)) for name in REACH)
        return Draft(
            subject,
            text,
            identifier(plain_text(_text(found.get("author"))))[:200],
            external_id,
            _moment(found.get("publish_time"), zone, collected),
            uri if len(uri) <= MAX_URI else "",
            (likes, dislikes, replies, shares, views),
        )

    def _page_after(self, document: object, url: str, number: int) -> str:
        if self._next is None:
            return self._template.replace(PAGE, str(self._second_page + number - 1))
        token = _text(self._found("next_page", self._next, document)).strip()
        if not token or len(token) > _TOKEN_LENGTH:
            return ""
        return self._template.replace(PLACE, quote(token, safe="")) if self._template else absolute(token, url)

    def _found(self, name: str, expression: Any, value: object) -> object:
        try:
            return expression.search(value)
        except (JMESPathError, ArithmeticError, TypeError, ValueError, RecursionError):
            # The library's own sentence may quote the answer.
            raise Fault(
                "MAPPING_FAILED", f"the expression `{name}` cannot be applied to the answer; a value has another type"
            ) from None


def _compiled(name: str, expression: str) -> Any:
    try:
        compiled = jmespath.compile(expression)
        unknown = next((each for each in _called(compiled.parsed) if each not in _FUNCTIONS), None)
    except EmptyExpressionError:
        raise RuleError(name, "is blank; write an expression of JMESPath, or leave it out") from None
    except LexerError as error:
        raise RuleError(name, f"is no expression of JMESPath: see character {error.lexer_position + 1}") from None
    except ParseError as error:
        raise RuleError(name, f"is no expression of JMESPath: see character {error.lex_position + 1}") from None
    except (JMESPathError, RecursionError, ValueError):
        raise RuleError(name, "is no expression of JMESPath; see jmespath.org") from None
    if unknown is not None:
        at = expression.find(unknown) + 1
        raise RuleError(name, f"calls a function that JMESPath does not have: {unknown}, at character {at}")
    return compiled


def _called(node: Any) -> list[str]:
    own = [node["value"]] if node["type"] == "function_expression" else []
    return own + [name for child in node["children"] if isinstance(child, dict) for name in _called(child)]


def _text(value: object) -> str:
    """A value as text; those of a list a line each."""
    if isinstance(value, list):
        return "\n".join(filter(None, map(_text, value)))
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return identifier(value) if isinstance(value, float) else str(value)


def _figure(value: object) -> int:
    return read_figure(value if not isinstance(value, bool) else None) or 0 if not isinstance(value, list | dict) else 0


def _moment(value: object, zone: tzinfo, collected: datetime) -> datetime | None:
    """ISO, seconds or milliseconds since 1970, or as people write it."""
    if isinstance(value, bool):
        return None
    text = _text(value).strip()
    if text.replace(".", "", 1).isdecimal() and len(text) > 8 and (isinstance(value, int | float) or len(text) != 14):
        return read_epoch(float(text), collected)
    return read_published(text, zone, collected)
