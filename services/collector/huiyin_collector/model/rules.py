"""What operators write to tell what is read of a page: CSS selectors, patterns of addresses, templates."""

from __future__ import annotations

import re
from typing import Final

from cssselect import SelectorError
from lxml import etree
from lxml.cssselect import CSSSelector

_WILDCARD: Final = re.compile(r"\*+")
PAGE: Final = "{page}"


class RuleError(Exception):
    """A rule that cannot be used: the field of its message, and reason and remedy in a sentence."""

    def __init__(self, field: str, description: str) -> None:
        super().__init__(f"{field}: {description}")
        self.field = field
        self.description = description


class Selector:
    """A CSS selector; an empty one selects nothing."""

    def __init__(self, field: str, css: str) -> None:
        try:
            self._select = CSSSelector(css, translator="html") if css else None
        except (SelectorError, etree.XPathError) as error:
            raise RuleError(
                field, f"is no CSS selector ({error}); write it as in a style sheet, such as ul.list > li > a"
            ) from None

    def __bool__(self) -> bool:
        return self._select is not None

    def all(self, root: etree._Element) -> list[etree._Element]:
        """The elements below `root` that it selects, in the order of the document. Only elements, no attributes."""
        return self._select(root) if self._select is not None else []

    def first(self, root: etree._Element) -> etree._Element | None:
        """The first of them."""
        return next(iter(self.all(root)), None)


class AddressPattern:
    """A pattern of whole addresses, in which * stands for any characters; an empty one matches none."""

    def __init__(self, field: str, glob: str) -> None:
        if glob and not glob.startswith(("http://", "https://", "*")):
            raise RuleError(
                field, "must match whole addresses: begin it with http://, https:// or *, as in */2024*/t*.html"
            )
        # Each piece is taken where it first occurs and never elsewhere, so that no address costs more than its length.
        first, *rest = _WILDCARD.split(glob)
        *between, last = rest or [""]
        pieces = [re.escape(first), *(f"(?>.*?{re.escape(piece)})" for piece in between)]
        tail = f".*{re.escape(last)}" if rest else ""
        self._expression = re.compile("".join(pieces) + tail, re.DOTALL) if glob else None

    def __bool__(self) -> bool:
        return self._expression is not None

    def matches(self, url: str) -> bool:
        """Whether an address is of this pattern."""
        return self._expression is not None and self._expression.fullmatch(url) is not None


def check_template(field: str, template: str) -> None:
    """That a template of addresses has its {page}, once. Raises RuleError."""
    if template and (template.count(PAGE) != 1 or not template.startswith(("http://", "https://"))):
        raise RuleError(
            field, "must be a whole address with {page} in it once, such as https://example.org/news/index_{page}.html"
        )
