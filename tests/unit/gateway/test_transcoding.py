"""Transcoding, case by case from the documentation of google.api.http: path and body, and the request that it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import json_format
from huiyin_chassis.errors import InvalidArgument
from huiyin_gateway.codec import message_class
from huiyin_gateway.routes import Binding, NoRoute, Router, bindings_of, parse
from huiyin_gateway.transcoding import Transcoder


class Service:
    """The service of transcoding.proto over HTTP."""

    def __init__(self, contract: Any) -> None:
        self.router = Router(bindings_of("messaging", contract.services_by_name["Messaging"]))
        self.transcoders = {id(binding): Transcoder(binding) for binding in self.router.bindings}

    def ask(self, verb: str, target: str, body: Any = None) -> tuple[Binding, Any]:
        """The binding and the request that a method would get."""
        path, _, query = target.partition("?")
        binding, captured = self.router.match(verb, path)
        transcoder = self.transcoders[id(binding)]
        request = transcoder.request(captured, query.encode())
        if binding.body and not transcoder.takes_document:
            transcoder.read_body(request, b"" if body is None else json.dumps(body).encode(), captured)
        return binding, request

    def answer(self, verb: str, path: str, reply: Any) -> Any:
        """The JSON that a reply becomes."""
        binding, _ = self.router.match(verb, path)
        return json.loads(self.transcoders[id(binding)].write(reply))


@pytest.fixture(scope="module")
def service(contract: Any) -> Service:
    return Service(contract)


@pytest.mark.parametrize(
    ("verb", "target", "body", "method", "request_"),
    [
        # "This enables an HTTP REST to gRPC mapping": a template with a name.
        ("GET", "/v1/messages/123456", None, "GetNamed", {"name": "messages/123456"}),
        # Fields that are not bound by the path become parameters of the query, those of messages by their path.
        (
            "GET",
            "/v2/messages/123456?revision=2&sub.subfield=foo",
            None,
            "GetMessage",
            {"messageId": "123456", "revision": "2", "sub": {"subfield": "foo"}},
        ),
        # body: a field.
        (
            "PATCH",
            "/v2/messages/123456",
            {"text": "Hi!"},
            "UpdateMessage",
            {"messageId": "123456", "message": {"text": "Hi!"}},
        ),
        # What neither path nor body take is a parameter.
        (
            "PATCH",
            "/v2/messages/123456?updateMask=text,messageId",
            {"text": "Hi!"},
            "UpdateMessage",
            {"messageId": "123456", "message": {"text": "Hi!"}, "updateMask": "text,messageId"},
        ),
        # An empty body leaves its field out.
        ("PATCH", "/v2/messages/1", None, "UpdateMessage", {"messageId": "1"}),
        # body: "*", and the path counts.
        ("PUT", "/v3/messages/123456", {"text": "Hi!"}, "ReplaceMessage", {"messageId": "123456", "text": "Hi!"}),
        ("PUT", "/v3/messages/1", {"messageId": "2"}, "ReplaceMessage", {"messageId": "1"}),
        # additional_bindings.
        ("GET", "/v2/users/me/messages/123456", None, "GetMessage", {"userId": "me", "messageId": "123456"}),
        # A field within a message, in the path.
        ("GET", "/v2/messages/1/foo", None, "GetMessage", {"messageId": "1", "sub": {"subfield": "foo"}}),
        ("DELETE", "/v2/messages/1?revision=3", None, "DeleteMessage", {"messageId": "1", "revision": "3"}),
        # ** matches zero or more segments, and is the last but for the verb.
        ("GET", "/v1/files/a", None, "GetFile", {"name": "files/a"}),
        ("GET", "/v1/files/a/b/c.txt", None, "GetFile", {"name": "files/a/b/c.txt"}),
        ("GET", "/v1/files", None, "GetFile", {"name": "files"}),
        ("POST", "/v1/files/a/b:open", {"note": "x"}, "OpenFile", {"name": "files/a/b", "note": "x"}),
        # A variable of several segments, and wildcards outside of variables.
        ("GET", "/v1/shelves/1/books/2/pages/3/4", None, "GetDeep", {"name": "shelves/1/books/2"}),
        ("GET", "/v1/whatever/any", None, "GetAny", {}),
        # A literal goes before a variable.
        ("GET", "/v1/messages/latest", None, "GetLatest", {}),
        # A variable of one segment is decoded wholly, one of several but for %2F.
        ("GET", "/v2/messages/a%2Fb%20c%E4%B8%AD", None, "GetMessage", {"messageId": "a/b c中"}),
        ("GET", "/v1/messages/a%2Fb%20%2f", None, "GetNamed", {"name": "messages/a%2Fb %2f"}),
        ("GET", "/v1/files/a%2Fb/c%3Ad", None, "GetFile", {"name": "files/a%2Fb/c:d"}),
        # A literal may be sent encoded.
        ("GET", "/v1/%6Dessages/1", None, "GetNamed", {"name": "messages/1"}),
        # A verb of one's own, and any verb.
        ("LOCK", "/v5/messages/1", None, "Lock", {"name": "messages/1"}),
        ("PUT", "/v5/anything/1", None, "Lock", {"name": "anything/1"}),
        # A body that is a list, a scalar, a map.
        ("POST", "/v4/texts", [{"text": "a"}, {"text": "b"}], "AddTexts", {"texts": [{"text": "a"}, {"text": "b"}]}),
        ("POST", "/v4/total", "7", "AddTexts", {"total": "7"}),
        ("POST", "/v4/labels", {"a": 1}, "AddTexts", {"labels": {"a": 1}}),
    ],
)
def test_a_request_over_http_is_the_request_of_the_documentation(
    service: Service, verb: str, target: str, body: Any, method: str, request_: dict[str, Any]
) -> None:
    binding, request = service.ask(verb, target, body)
    assert binding.method.name == method
    assert json_format.MessageToDict(request) == request_


@pytest.mark.parametrize(
    ("query", "field", "value"),
    [
        ("an_int64=-9223372036854775808", "anInt64", "-9223372036854775808"),
        ("aUint64=18446744073709551615", "aUint64", "18446744073709551615"),
        ("aBool=true", "aBool", True),
        ("aDouble=1e-7", "aDouble", 1e-7),
        ("aFloat=Infinity", "aFloat", "Infinity"),
        ("colour=COLOUR_BLUE", "colour", "COLOUR_BLUE"),
        ("colour=-2", "colour", "COLOUR_BLUE"),
        ("aString=a+b%26c%3D", "aString", "a b&c="),
        ("aString=", "aString", None),
        ("mayString=", "mayString", ""),
        ("mayBool=false", "mayBool", False),
        ("someBytes=-_8", "someBytes", "+/8="),
        ("strings=a&strings=b&strings=", "strings", ["a", "b", ""]),
        ("longs=1&longs=2", "longs", ["1", "2"]),
        ("colours=COLOUR_RED&colours=-2", "colours", ["COLOUR_RED", "COLOUR_BLUE"]),
        ("aTime=2026-03-01T09:00:00%2B08:00", "aTime", "2026-03-01T01:00:00Z"),
        ("aDuration=1.5s", "aDuration", "1.500s"),
        ("aMask=a,bC.dE", "aMask", "a,bC.dE"),
        ("wInt64=5", "wInt64", "5"),
        ("wBool=false", "wBool", False),
        ("wString=", "wString", ""),
        ("inner.inner.aString=deep", "inner", {"inner": {"aString": "deep"}}),
        ("inner.strings=a&inner.strings=b", "inner", {"strings": ["a", "b"]}),
        ("oneNumber=0", "oneNumber", 0),
        ("aliasOfIt=x", "aliasOfIt", "x"),
    ],
)
def test_a_parameter_sets_its_field(service: Service, query: str, field: str, value: Any) -> None:
    _, request = service.ask("GET", f"/v6/query?{query}")
    assert json_format.MessageToDict(request).get(field) == value


@pytest.mark.parametrize(
    ("verb", "target", "field"),
    [
        ("GET", "/v6/query?more=x", "more"),
        ("GET", "/v6/query?more.aString=x", "more.aString"),
        ("GET", "/v6/query?inner=x", "inner"),
        ("GET", "/v6/query?texts=x", "texts"),
        ("GET", "/v6/query?aStruct=x", "aStruct"),
        ("GET", "/v6/query?aStruct.fields=x", "aStruct.fields"),
        ("GET", "/v6/query?anything=x", "anything"),
        ("GET", "/v6/query?aTime.seconds=1", "aTime.seconds"),
        ("GET", "/v6/query?aString=a&a_string=b", "a_string"),
        ("GET", "/v6/query?oneText=a&oneNumber=1", "oneNumber"),
        ("GET", "/v6/query?aBool=True", "aBool"),
        ("GET", "/v6/query?nothing=1", "nothing"),
        ("GET", "/v6/query?noSuch=1", "noSuch"),
        ("GET", "/v6/query?=1", ""),
        ("GET", "/v6/query?aString=%ff", "query"),
        ("GET", "/v6/query?aString=\xff", "query"),
        ("GET", "/v6/query?" + "strings=a&" * 201, "query"),
        ("GET", "/v6/query?" + "inner." * 500 + "aString=a", "inner." * 500 + "aString"),
        ("GET", "/v2/messages/1?messageId=2", "messageId"),
        ("PATCH", "/v2/messages/1?message.text=x", "message.text"),
        ("PUT", "/v3/messages/1?text=x", "text"),
    ],
)
def test_what_cannot_stand_in_a_url_is_refused_by_name(service: Service, verb: str, target: str, field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        service.ask(verb, target, {})
    assert caught.value.violations[0].field == field[:200]


def test_a_field_of_the_reply_is_the_answer(service: Service) -> None:
    reply = message_class("transcoding.Texts")()
    assert service.answer("GET", "/v4/texts", reply) == []
    assert service.answer("GET", "/v4/total", reply) == "0"
    assert service.answer("GET", "/v4/first", reply) is None
    json_format.ParseDict({"texts": [{"text": "a"}], "total": 3, "first": {"text": "b"}}, reply)
    assert service.answer("GET", "/v4/texts", reply) == [{"text": "a"}]
    assert service.answer("GET", "/v4/total", reply) == "3"
    assert service.answer("GET", "/v4/first", reply) == {"text": "b"}
    assert service.answer("GET", "/v4/whole", reply) == json_format.MessageToDict(reply)


def test_a_body_that_is_a_document_is_not_read_as_json(service: Service) -> None:
    binding, request = service.ask("POST", "/v6/documents/1")
    transcoder = service.transcoders[id(binding)]
    assert transcoder.takes_document and transcoder.document(request) is request.document
    assert request.name == "documents/1"


@pytest.mark.parametrize(
    "path", ["/v1/messages/", "/v1/messages", "/v1/messages/a/b", "/v1/messages/%ff", "/v1/**/any/b"]
)
def test_what_no_template_matches_has_no_route(service: Service, path: str) -> None:
    with pytest.raises(NoRoute) as caught:
        service.router.match("GET", path)
    assert caught.value.allowed == ()


def test_a_verb_that_a_path_does_not_take_is_told_with_those_that_it_does(service: Service) -> None:
    with pytest.raises(NoRoute) as caught:
        service.router.match("POST", "/v2/messages/1")
    assert caught.value.allowed == ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH")
    assert set(service.router.allowed("/v5/anything/1")) >= {"GET", "PUT", "OPTIONS"}


@pytest.mark.parametrize(
    "template", ["v1/a", "/v1/{name=a/**/b}", "/v1/**/b", "/v1/{a{b}}", "/v1/{a}{b}", "/v1//a", "/v1/{}", "/v1/a:b:c"]
)
def test_what_is_no_template_is_refused_at_start(template: str) -> None:
    with pytest.raises(ValueError, match="v1"):
        parse(template)


def test_two_methods_with_one_route_are_refused_at_start(contract: Any) -> None:
    messaging = contract.services_by_name["Messaging"]
    with pytest.raises(ValueError, match="GetNamed"):
        Router([*bindings_of("one", messaging), *bindings_of("other", messaging)])
