"""The contracts keep to the rules that their readers rely on."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.api import annotations_pb2, resource_pb2
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor, FileDescriptor
from huiyin.type.v1 import options_pb2
from huiyin_chassis import identity

from tests.contract.walking import files, methods

PROTOS = Path(__file__).parents[2] / "protos"


@pytest.fixture(scope="module")
def linted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The contracts beside the parts of googleapis that they import, as buf wants them."""
    folder = tmp_path_factory.mktemp("protos")
    shutil.copytree(PROTOS / "huiyin", folder / "huiyin")
    shutil.copy(PROTOS / "buf.yaml", folder / "buf.yaml")
    spec = importlib.util.find_spec("google.api.annotations_pb2")
    assert spec is not None and spec.origin is not None
    google = Path(spec.origin).parents[1]
    for name in ("annotations", "client", "field_behavior", "http", "httpbody", "launch_stage", "resource"):
        (folder / "google/api").mkdir(parents=True, exist_ok=True)
        shutil.copy(google / "api" / f"{name}.proto", folder / "google/api")
    (folder / "google/type").mkdir()
    shutil.copy(google / "type/latlng.proto", folder / "google/type")
    (folder / "google/rpc").mkdir()
    shutil.copy(google / "rpc/status.proto", folder / "google/rpc")
    (folder / "google/longrunning").mkdir()
    shutil.copy(google / "longrunning/operations_proto.proto", folder / "google/longrunning/operations.proto")
    return folder


@pytest.mark.parametrize("arguments", [["lint"], ["format", "--diff", "--exit-code"]], ids=["lint", "format"])
def test_buf_finds_nothing(linted: Path, arguments: list[str]) -> None:
    buf = Path(sys.executable).parent / "buf"
    done = subprocess.run(
        [buf, *arguments, "--path", "huiyin"], cwd=linted, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_method_says_who_may_call_it() -> None:
    known = set().union(*identity.ROLES.values(), *identity.SERVICE_PERMISSIONS.values())
    for service, method in methods():
        access = method.GetOptions().Extensions[options_pb2.access]
        assert access.permission.startswith(f"{service}."), method.full_name
        assert access.public or access.permission in known, f"nobody holds {access.permission}"


def test_every_permission_of_a_role_is_that_of_a_method() -> None:
    declared = {method.GetOptions().Extensions[options_pb2.access].permission for _, method in methods()}
    held = set().union(*identity.ROLES.values(), *identity.SERVICE_PERMISSIONS.values())
    assert held <= declared


def test_no_two_methods_share_a_route() -> None:
    routes: list[tuple[str, str]] = []
    for _, method in methods():
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        for binding in (rule, *rule.additional_bindings):
            verb = binding.WhichOneof("pattern")
            if verb is not None:
                routes.append((verb, getattr(binding, verb)))
    assert len(routes) == len(set(routes))


def test_text_that_comes_in_has_a_greatest_length() -> None:
    """A string of a request or of a resource that can be written is limited, so that no store is filled by one call."""
    for file in files():
        for message in file.message_types_by_name.values():
            if not message.name.endswith("Request"):
                continue
            for field in message.fields:
                limits = field.GetOptions().Extensions[options_pb2.limits]
                reference = field.GetOptions().HasExtension(resource_pb2.resource_reference)
                if field.type == FieldDescriptor.TYPE_STRING and not reference:
                    assert limits.max_length or limits.max_items or limits.pattern, field.full_name


def test_enum_values_carry_their_enums_name() -> None:
    def snake(name: str) -> str:
        return "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(name)).upper()

    def enums(file: FileDescriptor) -> Iterator[EnumDescriptor]:
        yield from file.enum_types_by_name.values()
        for message in file.message_types_by_name.values():
            yield from message.enum_types

    for file in files():
        for enum in enums(file):
            assert all(value.name.startswith(snake(enum.name) + "_") for value in enum.values), enum.full_name
            assert enum.values[0].name.endswith("_UNSPECIFIED")


def test_every_declaration_has_a_comment(tmp_path: Path) -> None:
    """Contracts are read as documentation: a field, a value or a method without a comment is unfinished."""
    for path in sorted(PROTOS.glob("huiyin/**/*.proto")):
        before = ""
        depth = 0
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            text = line.strip()
            declares = (
                depth >= 1 and (text.endswith((";", "[", "{")) and ("= " in text or text.startswith("rpc ")))
            ) or text.startswith(("message ", "enum ", "service "))
            inside_option = text.startswith(("option ", "(", "]", "}")) or before.endswith(("[", "= {", ","))
            if declares and not inside_option and not text.startswith(("syntax", "package", "import", "//")):
                assert before.startswith("//"), f"{path.name}:{number}: {text}"
            depth += text.count("{") - text.count("}")
            before = text
