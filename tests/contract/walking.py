"""The contracts as what they compile to: every service, method, message and field, for tests that go through all."""

from __future__ import annotations

from collections.abc import Iterator

from google.api import field_behavior_pb2, resource_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor, MethodDescriptor
from huiyin.analyzer.v1 import analyzer_service_pb2
from huiyin.casework.v1 import casework_service_pb2
from huiyin.collector.v1 import collector_service_pb2
from huiyin.gateway.v1 import gateway_service_pb2
from huiyin.notifier.v1 import notifier_service_pb2
from huiyin.type.v1 import options_pb2, process_pb2

SERVICES = {
    "collector": collector_service_pb2.DESCRIPTOR.services_by_name["CollectorService"],
    "analyzer": analyzer_service_pb2.DESCRIPTOR.services_by_name["AnalyzerService"],
    "casework": casework_service_pb2.DESCRIPTOR.services_by_name["CaseworkService"],
    "notifier": notifier_service_pb2.DESCRIPTOR.services_by_name["NotifierService"],
    "gateway": gateway_service_pb2.DESCRIPTOR.services_by_name["GatewayService"],
    "process": process_pb2.DESCRIPTOR.services_by_name["ProcessService"],
}


def methods() -> Iterator[tuple[str, MethodDescriptor]]:
    """Every method, with the name of its service."""
    for name, service in SERVICES.items():
        for method in service.methods:
            yield name, method


def access(method: MethodDescriptor) -> options_pb2.Access:
    """Who may call a method."""
    found: options_pb2.Access = method.GetOptions().Extensions[options_pb2.access]
    return found


def files() -> Iterator[FileDescriptor]:
    """Every file of ours."""
    seen: set[str] = set()
    waiting = [service.file for service in SERVICES.values()]
    while waiting:
        file = waiting.pop()
        if file.name.startswith("huiyin/") and file.name not in seen:
            seen.add(file.name)
            yield file
            waiting.extend(file.dependencies)


def messages() -> Iterator[Descriptor]:
    """Every message of ours, those within others too; entries of maps are none."""

    def within(message: Descriptor) -> Iterator[Descriptor]:
        yield message
        for inner in message.nested_types:
            if not inner.GetOptions().map_entry:
                yield from within(inner)

    for file in files():
        for message in file.message_types_by_name.values():
            yield from within(message)


def behaves(field: FieldDescriptor, behavior: int) -> bool:
    """Whether a field declares a google.api.field_behavior."""
    return behavior in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]


def is_required(field: FieldDescriptor) -> bool:
    """Whether a request without it is refused."""
    return behaves(field, field_behavior_pb2.REQUIRED)


def is_output(field: FieldDescriptor) -> bool:
    """Whether only the server writes it."""
    return behaves(field, field_behavior_pb2.OUTPUT_ONLY)


def limits(field: FieldDescriptor) -> options_pb2.Limits:
    """The limits that a field declares."""
    found: options_pb2.Limits = field.GetOptions().Extensions[options_pb2.limits]
    return found


def referred(field: FieldDescriptor) -> str:
    """The type of resource that a field names, such as "Case"; "" where it names none."""
    reference = field.GetOptions().Extensions[resource_pb2.resource_reference]
    return (reference.type or reference.child_type).removeprefix("huiyin/")


def is_map(field: FieldDescriptor) -> bool:
    """Whether a field is a map."""
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def resources() -> dict[str, list[str]]:
    """The types of resource, each with the patterns of its names."""
    found = {}
    for message in messages():
        resource = message.GetOptions().Extensions[resource_pb2.resource]
        if resource.type:
            found[resource.type.removeprefix("huiyin/")] = list(resource.pattern)
    return found
