"""What is done with the contracts beside building them: the gate against breaking changes, and the reference.

python protos/contracts.py breaking    says what would break those who use the last release
python protos/contracts.py keep        takes the contracts as they are for what may not break, until a release is tagged
python protos/contracts.py docs [DIR]  writes the reference as Markdown, by default into docs/reference
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from google.api import annotations_pb2, field_behavior_pb2, resource_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
)
from huiyin.type.v1 import error_reason_pb2, options_pb2
from huiyin_chassis import reasons

PROTOS = Path(__file__).parent
ROOT = PROTOS.parent
KEPT = PROTOS / "kept.binpb"
"""The contracts that may not break while no release is tagged."""
BUF = Path(sys.executable).parent / "buf"


def lay_out(protos: Path, folder: Path) -> Path:
    """Copies contracts beside the parts of googleapis that they import, as buf wants them; returns the folder."""
    shutil.copytree(protos / "huiyin", folder / "huiyin")
    shutil.copy(PROTOS / "buf.yaml", folder / "buf.yaml")
    google = Path(_origin("google.api.annotations_pb2")).parents[1]
    for name in (
        *(f"api/{each}" for each in ("annotations", "client", "field_behavior", "http", "httpbody", "launch_stage")),
        "api/resource",
        "type/latlng",
        "rpc/code",
        "rpc/status",
    ):
        (folder / "google" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(google / f"{name}.proto", folder / "google" / f"{name}.proto")
    (folder / "google/longrunning").mkdir()
    # googleapis-common-protos ships this one file under another name than googleapis itself does.
    shutil.copy(google / "longrunning/operations_proto.proto", folder / "google/longrunning/operations.proto")
    return folder


def _origin(module: str) -> str:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        sys.exit(f"{module} is missing; run make setup")
    return spec.origin


def last_release() -> str:
    """The last tag of a version; "" while there is none."""
    command = ["git", "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def breaking(protos: Path, against: Path = KEPT) -> str:
    """What would break clients of the contracts that are kept, or of the last release; "" where nothing does."""
    with tempfile.TemporaryDirectory() as name:
        new, old = lay_out(protos, Path(name) / "new"), Path(name) / "old"
        release = last_release()
        if release:
            command = ["git", "archive", "--output", str(old.with_suffix(".tar")), release, "protos"]
            subprocess.run(command, cwd=ROOT, check=True)
            shutil.unpack_archive(old.with_suffix(".tar"), old)
            against = lay_out(old / "protos", Path(name) / "released")
        command = [str(BUF), "breaking", ".", "--against", str(against), "--path", "huiyin", "--exclude-imports"]
        done = subprocess.run(command, cwd=new, capture_output=True, text=True, timeout=120, check=False)
        return "" if done.returncode == 0 else done.stdout + done.stderr


def keep() -> None:
    """Takes the contracts as they are for what may not break."""
    with tempfile.TemporaryDirectory() as name:
        folder = lay_out(PROTOS, Path(name) / "new")
        command = [str(BUF), "build", ".", "--exclude-source-info", "--output", str(KEPT)]
        subprocess.run(command, cwd=folder, check=True)


class Reference:
    """The reference of all contracts: a page a package, written from their descriptors and comments."""

    def __init__(self, files: FileDescriptorSet) -> None:
        self._packages: dict[str, list[FileDescriptorProto]] = {}
        self._comments: dict[str, str] = {}
        self._homes: dict[str, str] = {}
        for file in files.file:
            self._packages.setdefault(file.package, []).append(file)
            for location in file.source_code_info.location:
                self._comments[f"{file.name}:{list(location.path)}"] = location.leading_comments.strip()
            for name in _types(file):
                self._homes[name] = file.package

    def pages(self) -> dict[str, str]:
        """The Markdown of each page by its file's name."""
        found = {_page(package): self._of_package(package) for package in sorted(self._packages)}
        index = [f"- [{package}]({_page(package)})" for package in sorted(self._packages)]
        found["README.md"] = "\n".join(["# Reference of the contracts", "", *index, ""])
        return found

    def _of_package(self, package: str) -> str:
        lines = [f"# {package}", ""]
        for file in self._packages[package]:
            for at, service in enumerate(file.service):
                lines += [f"## {service.name}", "", self._comment(file, 6, at), ""]
                for number, method in enumerate(service.method):
                    lines += self._of_method(file, method, [6, at, 2, number])
        for file in self._packages[package]:
            for at, message in enumerate(file.message_type):
                lines += self._of_message(file, message, [4, at], message.name)
            for at, enum in enumerate(file.enum_type):
                lines += self._of_enum(file, enum, [5, at], enum.name)
        return "\n".join(lines).rstrip() + "\n"

    def _of_method(self, file: FileDescriptorProto, method: MethodDescriptorProto, path: list[int]) -> Iterator[str]:
        access = method.options.Extensions[options_pb2.access]
        rule = method.options.Extensions[annotations_pb2.http]
        yield from (f"### {method.name}", "", self._comment(file, *path), "")
        for binding in (rule, *rule.additional_bindings):
            verb = binding.WhichOneof("pattern")
            if verb is not None:
                pattern = f"{binding.custom.kind} {binding.custom.path}" if verb == "custom" else getattr(binding, verb)
                yield f"- `{pattern if verb == 'custom' else f'{verb.upper()} {pattern}'}`"
        takes, gives = self._link(file, method.input_type), self._link(file, method.output_type)
        streams = (" (a stream)" if method.client_streaming else "", " (a stream)" if method.server_streaming else "")
        yield f"- takes {takes}{streams[0]}, gives {gives}{streams[1]}"
        who = "anybody" if access.public else "who holds it"
        yield f"- permission `{access.permission}`: {who}"
        yield from _refusals(file, method)
        yield ""

    def _of_message(
        self, file: FileDescriptorProto, message: DescriptorProto, path: list[int], name: str
    ) -> Iterator[str]:
        yield from (f"### {name}", "", self._comment(file, *path), "")
        patterns = message.options.Extensions[resource_pb2.resource].pattern
        if patterns:
            yield from ("Names: " + ", ".join(f"`{pattern}`" for pattern in patterns), "")
        if message.field:
            yield from ("| field | type | what it is |", "|---|---|---|")
            for number, field in enumerate(message.field):
                text = self._comment(file, *path, 2, number).replace("\n", " ").replace("|", "\\|")
                yield f"| `{field.name}` | {self._type(file, field, message)} | {text}{_terms(field, message)} |"
            yield ""
        for number, inner in enumerate(message.nested_type):
            if not inner.options.map_entry:
                yield from self._of_message(file, inner, [*path, 3, number], f"{name}.{inner.name}")
        for number, enum in enumerate(message.enum_type):
            yield from self._of_enum(file, enum, [*path, 4, number], f"{name}.{enum.name}")

    def _of_enum(
        self, file: FileDescriptorProto, enum: EnumDescriptorProto, path: list[int], name: str
    ) -> Iterator[str]:
        yield from (f"### {name}", "", self._comment(file, *path), "", "| value | what it means |", "|---|---|")
        for number, value in enumerate(enum.value):
            text = self._comment(file, *path, 2, number).replace("\n", " ").replace("|", "\\|")
            yield f"| `{value.name}` | {text} |"
        yield ""

    def _comment(self, file: FileDescriptorProto, *path: int) -> str:
        return re.sub(r"\n ?", "\n", self._comments.get(f"{file.name}:{list(path)}", ""))

    def _type(self, file: FileDescriptorProto, field: FieldDescriptorProto, message: DescriptorProto) -> str:
        for inner in message.nested_type:
            if inner.options.map_entry and field.type_name.endswith(f".{message.name}.{inner.name}"):
                key, value = (self._type(file, each, message) for each in inner.field)
                return f"map of {key} to {value}"
        scalar = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
        found = self._link(file, field.type_name) if field.type_name else scalar
        return f"list of {found}" if field.label == FieldDescriptorProto.LABEL_REPEATED else found

    def _link(self, file: FileDescriptorProto, type_name: str) -> str:
        whole = type_name.removeprefix(".")
        home = self._homes.get(whole)
        if home is None:
            return f"`{whole}`"
        short = whole.removeprefix(f"{home}.")
        place = "" if home == file.package else _page(home)
        return f"[{short}]({place}#{short.lower().replace('.', '')})"


def _refusals(file: FileDescriptorProto, method: MethodDescriptorProto) -> Iterator[str]:
    """The reasons of a method; those that any method may give stand at ErrorReason alone."""
    service = next(each.name for each in file.service if method in each.method)
    module = importlib.import_module(file.name.removesuffix(".proto").replace("/", ".") + "_pb2")
    found = module.DESCRIPTOR.services_by_name[service].methods_by_name[method.name]
    anyway = reasons.following(found) - reasons.of_scope(error_reason_pb2.REASON_SCOPE_ALL)
    place = "" if file.package == "huiyin.type.v1" else _page("huiyin.type.v1")
    for what, told in (
        (f"refused, for [reasons]({place}#errorreason) of its own, with", reasons.named(found)),
        ("refused, as every method that takes the like, with", anyway),
        ("tells of a part of what was asked", reasons.of_parts(found)),
    ):
        if told:
            yield f"- {what} " + ", ".join(f"`{each}`" for each in sorted(told))


def _types(file: FileDescriptorProto) -> Iterator[str]:
    def within(message: DescriptorProto, above: str) -> Iterator[str]:
        name = f"{above}.{message.name}"
        yield name
        yield from (f"{name}.{enum.name}" for enum in message.enum_type)
        for inner in message.nested_type:
            yield from within(inner, name)

    for message in file.message_type:
        yield from within(message, file.package)
    yield from (f"{file.package}.{enum.name}" for enum in file.enum_type)


def _page(package: str) -> str:
    return f"{package.removeprefix('huiyin.')}.md"


def _terms(field: FieldDescriptorProto, message: DescriptorProto) -> str:
    """What the options of a field say: whether it has to be there, who writes it, what it names, its limits."""
    limits = field.options.Extensions[options_pb2.limits]
    words = [
        field_behavior_pb2.FieldBehavior.Name(each).lower().replace("_", " ")
        for each in field.options.Extensions[field_behavior_pb2.field_behavior]
    ]
    if field.HasField("oneof_index") and not field.proto3_optional:
        words.append(f"one of {message.oneof_decl[field.oneof_index].name}")
    reference = field.options.Extensions[resource_pb2.resource_reference]
    if (reference.type or reference.child_type) not in ("", "*"):
        words.append(f"names a {(reference.type or reference.child_type).removeprefix('huiyin/')}")
    unit = "bytes" if field.type == FieldDescriptorProto.TYPE_BYTES else "characters"
    for value, what in (
        (limits.min_length, f"{unit} at least"),
        (limits.max_length, f"{unit} at most"),
        (limits.max_items, "elements at most"),
    ):
        if value:
            words.append(f"{value} {what}")
    if limits.HasField("min"):
        words.append(f"from {limits.min}")
    if limits.HasField("max"):
        words.append(f"to {limits.max}")
    if limits.pattern:
        words.append(f"like `{limits.pattern}`".replace("|", "\\|"))
    return f" *({'; '.join(words)})*" if words else ""


def reference() -> dict[str, str]:
    """The pages of the reference, from the contracts as they were installed last."""
    installed = Path(_origin("huiyin.type.v1.options_pb2")).parents[2] / "contracts.binpb"
    return Reference(FileDescriptorSet.FromString(installed.read_bytes())).pages()


def _write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in reference().items():
        (folder / name).write_text(text, "utf-8")
    print(f"{folder} has the reference")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["breaking"]:
            found = breaking(PROTOS)
            sys.exit(found or 0)
        case ["keep"]:
            keep()
        case ["docs", *where]:
            _write(Path(where[0]) if where else ROOT / "docs" / "reference")
        case _:
            sys.exit(__doc__)
