"""The OpenAPI document is valid, complete, and true: its examples fit its schemas, and the schemas what is taken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from huiyin_chassis.errors import InvalidArgument
from huiyin_chassis.validation import validate
from huiyin_gateway import codec
from huiyin_gateway.__main__ import SERVICES
from huiyin_gateway.openapi import document
from huiyin_gateway.routes import Binding, Kind, Router, bindings_of
from huiyin_gateway.transcoding import Transcoder

Json = dict[str, Any]
VERBS = {"get", "put", "post", "delete", "patch"}


@pytest.fixture(scope="module")
def router() -> Router:
    return Router(binding for part, service in SERVICES.items() for binding in bindings_of(part, service))


@pytest.fixture(scope="module")
def found(router: Router) -> Json:
    whole: Json = json.loads(document(router.bindings))
    return whole


def operations(found: Json) -> Iterator[tuple[str, str, Json]]:
    for path, operations in found["paths"].items():
        for verb, operation in operations.items():
            assert verb in VERBS
            yield path, verb, operation


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def fits(found: Json, schema: Json, value: Any) -> None:
    whole = {**schema, "components": found["components"]}
    jsonschema.Draft202012Validator(whole).validate(value)


def test_every_route_is_described_with_words_and_every_reference_leads_somewhere(found: Json, router: Router) -> None:
    described = list(operations(found))
    assert found["openapi"] == "3.1.0" and len(described) == len(router.bindings)
    identities = [operation["operationId"] for _, _, operation in described]
    assert len(set(identities)) == len(identities)
    for path, _, operation in described:
        assert len(operation["summary"]) > 10 and operation["tags"][0] in SERVICES, path
    for reference in set(references(found)):
        at: Any = found
        for part in reference.removeprefix("#/").split("/"):
            at = at[part]
        assert at
    assert {tag["name"] for tag in found["tags"]} == SERVICES.keys()


def test_every_schema_is_one_and_every_field_has_its_comment(found: Json) -> None:
    for name, schema in found["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        if "." in name and not name.startswith("google."):
            assert schema.get("description"), name
            for field, described in schema.get("properties", {}).items():
                assert described.get("description"), f"{name}.{field}"


def test_every_answer_is_listed_and_there_is_no_other(found: Json) -> None:
    for path, verb, operation in operations(found):
        answers = operation["responses"]
        assert {"200", "400", "401", "408", "429", "431", "503", "504"} <= answers.keys(), path
        assert "default" not in answers and "500" not in answers
        assert "404" in answers or "{" not in path
        assert "403" in answers or {} in operation["security"]
        assert ("415" in answers) == ("requestBody" in operation)
        assert "409" not in answers or verb != "get"
    assert "412" in found["paths"]["/v1/sources/{source}"]["patch"]["responses"]
    assert "304" in found["paths"]["/v1/cases/{case}"]["get"]["responses"]
    assert "410" in found["paths"]["/v1/changes"]["get"]["responses"]


def test_every_operation_says_with_which_reasons_it_may_be_refused(found: Json) -> None:
    known = set(found["components"]["schemas"]["type.ErrorReason"]["enum"])
    for path, _, operation in operations(found):
        told = operation["x-reasons"]
        assert told.keys() == operation["responses"].keys() - {"200", "304"}, path
        for status, reasons in told.items():
            assert reasons and set(reasons) <= known, (path, status)
        assert set(operation.get("x-reasons-of-parts", ())) <= known
    assign = found["paths"]["/v1/cases/{case}:assign"]["post"]["x-reasons"]
    assert {"BUREAU_WORK", "REQUIRED", "STEP_NOT_POSSIBLE", "JSON_INVALID"} <= set(assign["400"])
    assert assign["409"] == assign["412"] == ["STALE_ETAG"] and assign["404"] == ["NOT_FOUND"]
    case = found["paths"]["/v1/cases/{case}"]["get"]["x-reasons"]
    assert "JSON_INVALID" not in case["400"] and case["412"] == ["STALE_ETAG"]
    training = found["paths"]["/v1/topicModels:train"]["post"]
    assert "TOO_FEW_EXAMPLES" in training["x-reasons-of-parts"]


def test_the_example_of_every_answer_fits_its_schema(found: Json) -> None:
    for path, verb, operation in operations(found):
        content = operation["responses"]["200"].get("content", {}).get("application/json")
        if content is not None:
            try:
                fits(found, content["schema"], content["example"])
            except jsonschema.ValidationError as error:
                raise AssertionError(f"{verb} {path}: {error.message} at {error.json_path}") from error
    for problem in found["components"]["responses"].values():
        content = problem["content"]["application/problem+json"]
        fits(found, content["schema"], content["example"])


def with_json(router: Router) -> list[Binding]:
    return [
        binding
        for binding in router.bindings
        if binding.body and binding.kind is Kind.UNARY and not Transcoder(binding).takes_document
    ]


def test_the_example_of_every_request_fits_its_schema_and_the_contract(found: Json, router: Router) -> None:
    examples = {
        operation["operationId"]: operation["requestBody"]["content"]["application/json"]
        for _, _, operation in operations(found)
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    }
    for method in ("SubmitPartnerInquiry", "DeliverPosts"):  # taken as they were sent, and read by their services
        as_sent = examples.pop(method)
        fits(found, as_sent["schema"], as_sent["example"])
    bindings = with_json(router)
    assert len(examples) == len(bindings) > 50
    for binding in bindings:
        content = examples.get(binding.method.name) or examples[f"{binding.part.title()}{binding.method.name}"]
        fits(found, content["schema"], content["example"])
        request = binding.request_type()
        transcoder = Transcoder(binding)
        captured = ["x/y" for _ in binding.captures]
        transcoder.read_body(request, json.dumps(content["example"]).encode(), captured)
        try:
            validate(request)
        except InvalidArgument as error:
            # What the query gives is not part of the body, and a name that the path gives was made up here.
            bound = {capture.field for capture in binding.captures}
            top = {field.name for field in binding.method.input_type.fields} - {binding.body}
            wrong = [each.field for each in error.violations if each.field not in bound]
            assert binding.body != "*" and {field.partition(".")[0] for field in wrong} <= top, (binding.path, error)


@pytest.mark.parametrize(
    ("schema", "value", "right"),
    [
        ("casework.SubmitInquiryRequest", {"text": "x"}, True),
        ("casework.SubmitInquiryRequest", {}, False),
        ("casework.SubmitInquiryRequest", {"text": ""}, False),
        ("casework.SubmitInquiryRequest", {"text": None}, False),
        ("casework.SubmitInquiryRequest", {"text": "x", "subject": None}, True),
        ("casework.SubmitInquiryRequest", {"text": "x" * 10_001}, False),
        ("collector.Source.Input", {"kind": "KIND_FILE"}, True),
        ("collector.Source.Input", {"kind": 1}, True),
        ("collector.Source.Input", {"kind": "FILE"}, False),
        ("collector.Source.Input", {"expectsAnswer": "true"}, False),
    ],
)
def test_a_schema_tells_right_from_wrong_as_the_gateway_does(
    found: Json, schema: str, value: Json, right: bool
) -> None:
    reference = {"$ref": f"#/components/schemas/{schema}"}
    validator = jsonschema.Draft202012Validator({**reference, "components": found["components"]})
    assert validator.is_valid(value) is right
    part, _, name = schema.removesuffix(".Input").partition(".")
    message = codec.message_class(f"huiyin.{part}.v1.{name}")()
    if right:
        codec.merge(message, value)
        validate(message)
    else:
        with pytest.raises(InvalidArgument):
            codec.merge(message, value)
            validate(message)
