"""The contract of the transcoding suite, built when the first test asks for it."""

from __future__ import annotations

import importlib.resources
import importlib.util
from pathlib import Path
from typing import Any

import pytest
from google.api import annotations_pb2, httpbody_pb2
from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from huiyin_gateway.codec import message_class

HERE = Path(__file__).parent
NEEDED = (
    annotations_pb2,
    any_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    httpbody_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
"""What the contract imports: they enter the pool by being imported."""


@pytest.fixture(scope="session")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The file descriptor of transcoding.proto, its types known to the pool that the gateway looks into."""
    from grpc_tools import protoc

    out = tmp_path_factory.mktemp("transcoding") / "set"
    google = importlib.util.find_spec("google.api.annotations_pb2")
    assert google is not None and google.origin is not None
    well_known = importlib.resources.files("grpc_tools") / "_proto"
    paths = [HERE, well_known, Path(google.origin).parents[2]]
    arguments = [f"--proto_path={path}" for path in paths]
    assert protoc.main(["protoc", *arguments, f"--descriptor_set_out={out}", str(HERE / "transcoding.proto")]) == 0
    assert all(module.DESCRIPTOR for module in NEEDED)
    found = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    pool: Any = descriptor_pool.Default()
    for file in found.file:
        pool.Add(file)
    return pool.FindFileByName("transcoding.proto")


@pytest.fixture(scope="session")
def everything(contract: Any) -> Any:
    """The class of the message with every kind of field."""
    return message_class("transcoding.Everything")
