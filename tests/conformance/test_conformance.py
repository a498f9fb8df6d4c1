"""Every method keeps to what its contract promises: found by reflection, proved on real servers."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from huiyin_chassis import clock
from huiyin_chassis.errors import DomainError
from huiyin_chassis.identity import Principal, Signer, ensure_keys

from tests.conformance.requests import name_of, spoilt, unknown, valid
from tests.conformance.serving import all_but
from tests.conformance.world import DESK, ELSEWHERE, METHODS, PEOPLE, World, new
from tests.contract.walking import access, is_output, referred

every_method = pytest.mark.parametrize("key", METHODS)

MISSING = grpc.StatusCode.NOT_FOUND


def refusal(world: World, key: str, token: object) -> DomainError | None:
    """How a call with a token ends."""
    try:
        world.call_with(key, new(key), token)
    except DomainError as error:
        return error
    return None


@every_method
def test_a_caller_without_its_permission_is_refused(world: World, key: str) -> None:
    may = access(METHODS[key][1])
    others = Principal("accounts/others", roles=(all_but(may.permission),), everywhere=True)
    for who, code, reason in (
        (others, grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING"),
        (None, grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING"),
    ):
        error = world.outcome(key, new(key), who)
        if may.public:
            assert error is None or error.reason != reason, error
        else:
            assert error is not None and (error.code, error.reason) == (code, reason), error
            assert who is None or error.metadata == {"permission": may.permission}


@every_method
def test_a_token_that_proves_nothing_is_refused(world: World, key: str, tmp_path: Path) -> None:
    ensure_keys(tmp_path, ["gateway", "stranger"])
    private = world.layout.keys / "private"
    expired = Principal("accounts/desk", roles=PEOPLE, everywhere=True, expires=clock.now() - timedelta(seconds=1))
    tokens = {
        "TOKEN_EXPIRED": world.gateway.sign(expired),
        "KEY_UNKNOWN": Signer("stranger", tmp_path / "private" / "stranger.pem").sign(DESK),
        "TOKEN_INVALID": Signer("gateway", tmp_path / "private" / "gateway.pem").sign(DESK),
    }
    service_for_people = Signer("notifier", private / "notifier.pem").sign(DESK)
    for reason, token in (*tokens.items(), ("TOKEN_INVALID", service_for_people), ("TOKEN_INVALID", "nothing")):
        error = refusal(world, key, (("authorization", f"Bearer {token}"),))
        assert error is not None, reason
        assert (error.code, error.reason) == (grpc.StatusCode.UNAUTHENTICATED, reason), error


@every_method
def test_each_limit_of_each_field_is_refused_by_its_name(world: World, key: str) -> None:
    for case in spoilt(world, key):
        error = world.outcome(key, case.request)
        assert error is not None, case.field
        assert error.code == grpc.StatusCode.INVALID_ARGUMENT, (case.field, error)
        assert (case.field, case.reason) in {(each.field, each.reason) for each in error.violations}, error


def references(key: str) -> list[FieldDescriptor]:
    """The fields of a request that name something which has to be there."""
    fields = METHODS[key][1].input_type.fields
    return [field for field in fields if field.type == FieldDescriptor.TYPE_STRING and not is_output(field)]


NAMING = [
    (key, field.name)
    for key in METHODS
    for field in references(key)
    if referred(field) or field.name in ("name", "parent")
]


MAY_BE_UNKNOWN = {
    "collector.SetPostHold.posts": "told by the analyzer of posts that may be purged meanwhile",
    "analyzer.SetEventHold.events": "told by casework of events that may be gone meanwhile",
    "analyzer.ListHotEvents.place": "narrows a list, and nothing is there",
    "casework.SubmitPartnerInquiry.parent": "refused as a wrong signature is: nobody learns which partners there are",
    "collector.DeliverPosts.source": "the same: nobody learns which sources take deliveries",
    "analyzer.ListHotEvents.topic": "narrows a list, and nothing is there",
}
"""Fields that take names of what is not there, and why."""


@pytest.mark.parametrize(("key", "field_name"), [each for each in NAMING if ".".join(each) not in MAY_BE_UNKNOWN])
def test_a_name_that_nothing_has_is_not_found(world: World, key: str, field_name: str) -> None:
    """What a method is about is NOT_FOUND; what else a request names may be refused by the name of its field too."""
    request = valid(world, key)
    field = request.DESCRIPTOR.fields_by_name[field_name]
    name = unknown(key, name_of(world, key, field))
    request.ClearField(field_name)
    if field.is_repeated:
        getattr(request, field_name).append(name)
    else:
        setattr(request, field_name, name)
    error = world.outcome(key, request)
    assert error is not None
    about = field_name in ("name", "parent", "source")
    if not about and error.code == grpc.StatusCode.INVALID_ARGUMENT:
        assert {each.field for each in error.violations} <= {field_name, f"{field_name}[0]"}, error
    else:
        assert error.code == MISSING, (name, error)


FOR_ALL = {
    "Partner": "who may see partners sees all of them; one that posts proves itself by its signature",
    "Source": "a source belongs to the whole body",
    "SourceHealth": "and so does how it is",
    "Unit": "the tree of units is everybody's directory",
    "Topic": "one tree of topics for all",
    "Place": "one gazetteer for all",
    "Policy": "rule books are everybody's to read",
    "TopicModel": "one model in force for all",
    "Answer": "what was answered in the past is everybody's to learn from",
    "*": "an operation says how a file was read, and holds nothing of it",
}
"""Resources without reach: who holds the permission sees all of them, and why."""
PUBLIC = {"casework.DownloadPublicAttachment"}
OF_SOMETHING = [
    key
    for key in METHODS
    for field in references(key)
    if field.name in ("name", "parent") and referred(field) not in FOR_ALL and key not in PUBLIC
]


@pytest.mark.parametrize("key", OF_SOMETHING)
def test_what_is_out_of_reach_is_answered_as_what_is_not_there(world: World, key: str) -> None:
    request = valid(world, key)
    field = "name" if hasattr(request, "name") else "parent"
    there = getattr(request, field)
    error = world.outcome(key, request, ELSEWHERE)
    setattr(request, field, unknown(key, there))
    other = world.outcome(key, request, ELSEWHERE)
    assert error is not None and other is not None
    assert (error.code, error.reason) == (other.code, other.reason), (error, other)
    assert error.code == MISSING or error.reason == "REACH_MISSING", error


FILTERED = [key for key in METHODS if ".List" in key and "filter" in METHODS[key][1].input_type.fields_by_name]
OF_OFFICERS = {"analyzer.ListRegroupings.author", "analyzer.ListTopicCorrections.author"}


@pytest.mark.parametrize("key", FILTERED)
@pytest.mark.parametrize("word", ["author", "voice", "contact", "sentiment", "ip"])
def test_nothing_is_found_or_ordered_by_who_speaks(world: World, key: str, word: str) -> None:
    if f"{key}.{word}" in OF_OFFICERS:
        return
    for field, text in (("filter", f'{word} = "a"'), ("order_by", word)):
        request = valid(world, key)
        if hasattr(request, field):
            setattr(request, field, text)
            error = world.outcome(key, request)
            assert error is not None and error.code == grpc.StatusCode.INVALID_ARGUMENT, error
            assert [each.field for each in error.violations] == [field], error
