"""The contracts keep to the rules that their readers rely on."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.api import annotations_pb2, resource_pb2
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor, FileDescriptor
from huiyin.type.v1 import options_pb2
from huiyin_chassis import identity
from huiyin_gateway import comments

from protos.contracts import BUF, PROTOS, breaking, lay_out, reference
from tests.contract.walking import files, messages, methods


@pytest.fixture(scope="module")
def linted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The contracts beside the parts of googleapis that they import, as buf wants them."""
    return lay_out(PROTOS, tmp_path_factory.mktemp("protos") / "all")


@pytest.mark.parametrize("arguments", [["lint"], ["format", "--diff", "--exit-code"]], ids=["lint", "format"])
def test_buf_finds_nothing(linted: Path, arguments: list[str]) -> None:
    done = subprocess.run(
        [BUF, *arguments, "--path", "huiyin"], cwd=linted, capture_output=True, text=True, timeout=60, check=False
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


def test_a_list_that_is_not_paged_says_why() -> None:
    told = comments.read()
    for _, method in methods():
        if method.name.startswith("List") and "page_token" not in method.input_type.fields_by_name:
            assert "Not in pages: " in told[method.full_name].replace("\n", " "), method.full_name


def test_nobody_who_uses_the_contracts_is_broken() -> None:
    """By the last release; before there is one, by what was kept with `make protos-keep`."""
    assert breaking(PROTOS) == ""


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("type/v1/policy.proto", "string body = 2", "string text = 2"),
        ("type/v1/policy.proto", "int32 version = 3", "int64 version = 3"),
        (
            "type/v1/grade.proto",
            "  // 较大: gets a case even where nobody asked for an answer.\n  GRADE_LARGE = 2;\n",
            "",
        ),
        ("notifier/v1/notifier_service.proto", "rpc GetNotification(", "rpc ReadNotification("),
    ],
)
def test_the_gate_finds_what_breaks(tmp_path: Path, file: str, before: str, after: str) -> None:
    shutil.copytree(PROTOS / "huiyin", tmp_path / "huiyin")
    path = tmp_path / "huiyin" / file
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after), "utf-8")
    assert Path(file).name in breaking(tmp_path)


def test_the_reference_has_every_method_message_field_and_value() -> None:
    pages = reference()
    whole = "\n".join(pages.values())
    for _, method in methods():
        assert f"### {method.name}\n" in whole, method.full_name
    for message in messages():
        page = pages[f"{message.file.package.removeprefix('huiyin.')}.md"]
        name = message.full_name.removeprefix(f"{message.file.package}.")
        section = page.partition(f"### {name}\n")[2].partition("\n### ")[0]
        for field in message.fields:
            assert f"| `{field.name}` |" in section, field.full_name
    assert not re.search(r"^\| `\w+` \| (\S+ \| )?\|$", whole, re.MULTILINE), "something has no comment"


def test_the_links_of_the_reference_lead_somewhere() -> None:
    pages = reference()
    anchors = {
        name: {title.lower().replace(".", "") for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
        for name, text in pages.items()
    }
    for name, text in pages.items():
        for page, anchor in re.findall(r"\]\(([\w.]*)(?:#(\w+))?\)", text):
            assert not anchor or anchor in anchors[page or name], (name, page, anchor)
