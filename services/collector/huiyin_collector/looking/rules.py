"""From the messages of a source's rules to what reads by them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo

from huiyin.collector.v1 import source_pb2, source_rules_pb2

from huiyin_collector.looking.secrets import check_headers
from huiyin_collector.model.articles import ArticleRules
from huiyin_collector.model.mapping import FIELDS, Mapping
from huiyin_collector.model.pages import ListRules
from huiyin_collector.model.rules import RuleError
from huiyin_collector.model.times import load_zone

_SECOND_PAGE = 2


@dataclass(frozen=True, slots=True)
class PageRules:
    """How a list and its articles are read."""

    list: ListRules
    article: ArticleRules
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class ApiRules:
    """How an interface is read."""

    mapping: Mapping
    zone: tzinfo


def page_rules(message: source_rules_pb2.PageList) -> PageRules:
    """The rules of a list, compiled. Raises RuleError."""
    return PageRules(
        ListRules(
            item_selector=message.item_selector,
            item_pattern=message.item_pattern,
            next_selector=message.next_selector,
            page_template=message.page_template,
            second_page=message.second_page if message.HasField("second_page") else _SECOND_PAGE,
            most_pages=message.most_pages,
        ),
        ArticleRules(
            title_selector=message.title_selector,
            text_selector=message.text_selector,
            time_selector=message.time_selector,
        ),
        _zone(message.time_zone),
    )


def api_rules(message: source_rules_pb2.Api) -> ApiRules:
    """The rules of an interface, compiled. Raises RuleError."""
    check_headers(message.headers)
    return ApiRules(
        Mapping(
            items=message.items,
            fields={name: getattr(message, name) for name in FIELDS},
            next_page=message.next_page,
            page_template=message.page_template,
            second_page=message.second_page if message.HasField("second_page") else _SECOND_PAGE,
            most_pages=message.most_pages,
        ),
        _zone(message.time_zone),
    )


def check_rules(
    kind: source_pb2.Source.Kind.ValueType, page_list: source_rules_pb2.PageList, api: source_rules_pb2.Api
) -> None:
    """That the rules of a source of that kind can be used. Raises RuleError, whose field has their name before it."""
    try:
        if kind == source_pb2.Source.KIND_PAGE_LIST:
            page_rules(page_list)
        elif kind == source_pb2.Source.KIND_API:
            api_rules(api)
    except RuleError as error:
        name = "page_list" if kind == source_pb2.Source.KIND_PAGE_LIST else "api"
        raise RuleError(f"{name}.{error.field}", error.description) from None


def _zone(name: str) -> tzinfo:
    try:
        return load_zone(name)
    except ValueError:
        raise RuleError("time_zone", "is not in the tz database; write it like Asia/Shanghai") from None
