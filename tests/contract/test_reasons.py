"""The reasons of errors are the contract's: what the code gives is declared, and what is declared is given."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import grpc
import huiyin_client.problems
import pytest
from google.rpc import code_pb2
from huiyin.type.v1 import error_reason_pb2
from huiyin_chassis import errors, reasons
from huiyin_chassis.reasons import TERMS
from huiyin_gateway.texts import REASONS as CHINESE

from tests.contract.walking import methods

ROOT = Path(__file__).parents[2]
CODE = {part: ROOT / part for part in ("chassis", "gateway")}
CODE |= {part: ROOT / "services" / part for part in ("collector", "analyzer", "casework", "notifier")}
WHAT_TO_DO = (
    "a reason is declared in protos/huiyin/type/v1/error_reason.proto, and at each method that gives it by the option "
    "(huiyin.type.v1.errors); CONTRIBUTING.md has the steps"
)
INSIDE = reasons.of_scope(error_reason_pb2.REASON_SCOPE_INSIDE)
OF_GRPC = {code.name for code in grpc.StatusCode}
"""What stands for a reason where gRPC itself ends a call."""
OF_SOURCES = ("collector", "Fault")
"""Why a visit failed: a vocabulary of its own."""


class Given(NamedTuple):
    """A reason in the code: an argument of what has a parameter `reason`, its default, or an attribute of a class."""

    reason: str
    part: str
    maker: str
    place: str


Places = dict[str, tuple[int, str]]
"""Where a parameter `reason` stands, and its default, by the name of the function or class."""


def _of_function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[int, str] | None:
    names = [each.arg for each in (*node.args.posonlyargs, *node.args.args) if each.arg not in ("self", "cls")]
    if "reason" not in names:
        return None
    at = names.index("reason")
    default = node.args.defaults[at - len(names)] if len(names) - at <= len(node.args.defaults) else None
    return at, str(default.value) if isinstance(default, ast.Constant) else ""


def _of_class(node: ast.ClassDef) -> tuple[int, str] | None:
    fields = [each for each in node.body if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)]
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and each.name == "__init__":
            return _of_function(each)
    for at, each in enumerate(fields):
        if isinstance(each.target, ast.Name) and each.target.id == "reason" and node.decorator_list:
            return at, str(each.value.value) if isinstance(each.value, ast.Constant) else ""
    return None


@cache
def _trees() -> list[tuple[str, Path, list[ast.AST]]]:
    """The nodes of every file, with the part that it is of."""
    paths = [(part, path) for part, folder in CODE.items() for path in sorted(folder.rglob("*.py"))]
    return [(part, path, list(ast.walk(ast.parse(path.read_text("utf-8"))))) for part, path in paths]


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _places() -> dict[str, Places]:
    """By part; those of the chassis serve all."""
    found: dict[str, Places] = defaultdict(dict)
    bases: list[tuple[str, str, list[str]]] = []
    for part, _, nodes in _trees():
        for node in nodes:
            if isinstance(node, ast.ClassDef):
                bases.append((part, node.name, [_name(base) for base in node.bases]))
                place = _of_class(node)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name != "__init__":
                place = _of_function(node)
            else:
                continue
            if place is not None:
                found[part][node.name] = place
    for part, name, above in bases * 2:  # a class without a constructor of its own has that of its base
        for base in above:
            if name not in found[part] and (place := found[part].get(base) or found["chassis"].get(base)):
                found[part][name] = place
    return found


def given() -> Iterator[Given]:
    """Every reason that stands in the code."""
    places = _places()
    for part, path, nodes in _trees():
        known = places["chassis"] | places[part]
        for node in nodes:
            if not isinstance(node, ast.ClassDef | ast.Call):
                continue
            at = f"{path.relative_to(ROOT)}:{node.lineno}"
            if isinstance(node, ast.ClassDef):
                for each in node.body:
                    if isinstance(each, ast.Assign) and _name(each.targets[0]) == "reason":
                        yield Given(ast.literal_eval(each.value), part, node.name, at)
                made = [base for base in map(_name, node.bases) if base in known]
                for call in ast.walk(node) if made else ():
                    if isinstance(call, ast.Call) and ast.unparse(call.func) == "super().__init__":
                        for base in made:
                            yield from _of_call(call, known[base], part, base, at)
            else:
                yield from _of_call(node, known.get(_name(node.func)), part, _name(node.func), at)


def _of_call(call: ast.Call, place: tuple[int, str] | None, part: str, maker: str, at: str) -> Iterator[Given]:
    if place is None:
        return
    values = [*call.args[place[0] : place[0] + 1], *(each.value for each in call.keywords if each.arg == "reason")]
    for value in values or [ast.Constant(place[1])]:
        if isinstance(value, ast.Constant) and re.fullmatch(r"[A-Z]+(_[A-Z]+)*", str(value.value)):
            yield Given(str(value.value), part, maker, at)


@pytest.fixture(scope="module")
def in_code() -> list[Given]:
    found = list(given())
    assert len(found) > 300, "the errors of the code are made in another way now"
    return found


def test_every_reason_that_the_code_gives_is_declared(in_code: list[Given]) -> None:
    unknown = [each for each in in_code if each.reason not in TERMS and (each.part, each.maker) != OF_SOURCES]
    assert [each for each in unknown if each.maker != "NotAFeed"] == [], WHAT_TO_DO


def test_every_reason_that_is_declared_is_given(in_code: list[Given]) -> None:
    assert TERMS.keys() - {each.reason for each in in_code} - OF_GRPC == set()


def test_a_reason_comes_with_the_codes_that_are_declared(in_code: list[Given]) -> None:
    codes = {
        name: code_pb2.Code.Value(made.code.name)
        for name, made in vars(errors).items()
        if isinstance(made, type) and issubclass(made, errors.DomainError) and made is not errors.DomainError
    }
    codes["FieldViolation"] = code_pb2.INVALID_ARGUMENT
    wrong = [
        each
        for each in in_code
        if each.maker in codes and each.reason in TERMS and codes[each.maker] not in TERMS[each.reason].codes
    ]
    assert wrong == []
    assert all(terms.codes for terms in TERMS.values())


def test_every_reason_has_a_method_that_may_give_it() -> None:
    """Or the gateway gives it where there is no method, or it stays inside."""
    reached = {reason for _, method in methods() for reason in (*reasons.declared(method), *reasons.of_parts(method))}
    reached |= set().union(
        *(
            reasons.of_scope(scope)
            for scope in (
                error_reason_pb2.REASON_SCOPE_HTTP,
                error_reason_pb2.REASON_SCOPE_HTTP_BODIES,
                error_reason_pb2.REASON_SCOPE_NO_METHOD,
            )
        )
    )
    assert TERMS.keys() - reached == INSIDE


def test_a_method_names_only_what_its_own_service_gives(in_code: list[Given]) -> None:
    by_part: dict[str, set[str]] = defaultdict(set)
    for each in in_code:
        by_part[each.part].add(each.reason)
    for part, method in methods():
        own = by_part["chassis"] | by_part["gateway"] | by_part.get(part, set())
        assert (reasons.named(method) | reasons.of_parts(method)) - own == set(), method.full_name


def test_no_method_names_what_follows_from_its_shape() -> None:
    for _, method in methods():
        twice = reasons.named(method) & reasons.following(method)
        twice |= reasons.of_parts(method) & reasons.of_scope(error_reason_pb2.REASON_SCOPE_ALL)
        assert twice == set(), f"{method.full_name}: leave them out, they are declared by rule"


def test_what_a_batch_tells_of_a_case_is_what_the_step_itself_is_refused_with() -> None:
    found = {method.name: method for part, method in methods() if part == "casework"}
    steps = (found[name] for name in ("AssignCase", "DismissCase", "CloseCase", "ExtendCase", "NoteCase"))
    of_steps = {"NOT_FOUND", "REQUIRED", "STALE_ETAG"}.union(*map(reasons.named, steps))
    assert reasons.of_parts(found["BatchStepCases"]) == of_steps


def test_every_reason_that_a_caller_meets_has_a_chinese_text_and_no_other_has() -> None:
    assert CHINESE.keys() == TERMS.keys() - INSIDE, "add it to gateway/huiyin_gateway/texts.py"


def test_the_client_repeats_by_reasons_that_there_are() -> None:
    nothing_done, maybe_done = huiyin_client.problems._NOTHING_DONE, huiyin_client.problems._MAYBE_DONE
    assert (nothing_done | maybe_done) <= TERMS.keys() - INSIDE
    passing = {code_pb2.UNAVAILABLE, code_pb2.RESOURCE_EXHAUSTED, code_pb2.DEADLINE_EXCEEDED}
    assert all(set(TERMS[reason].codes) <= passing for reason in nothing_done | maybe_done)


def test_the_command_line_knows_no_reasons_but_these() -> None:
    compared = set()
    for path in (ROOT / "cli").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Compare) and ast.unparse(node.left).endswith(".reason"):
                compared |= {each.value for each in node.comparators if isinstance(each, ast.Constant)}
    assert compared and compared <= TERMS.keys() - INSIDE
