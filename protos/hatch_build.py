"""Generates Python modules and type stubs from the .proto files when the wheel is built."""

import importlib.resources
import importlib.util
import shutil
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ProtocBuildHook(BuildHookInterface[Any]):
    """Runs protoc into build/generated and adds what it made to the wheel; nothing is written beside the sources."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        from grpc_tools import protoc

        root = Path(self.root)
        out = root / "build" / "generated"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        sources = sorted(str(path.relative_to(root)) for path in (root / "huiyin").rglob("*.proto"))
        well_known = str(importlib.resources.files("grpc_tools") / "_proto")
        google = self._folder_of("google.api.annotations_pb2").parent
        # googleapis-common-protos ships this one file under another name than googleapis itself does.
        renamed = root / "build" / "googleapis" / "google" / "longrunning"
        renamed.mkdir(parents=True, exist_ok=True)
        shutil.copy(google / "longrunning" / "operations_proto.proto", renamed / "operations.proto")
        tools = Path(sys.executable).parent
        contracts = out / "huiyin" / "contracts.binpb"
        contracts.parent.mkdir()
        status = protoc.main(
            [
                "protoc",
                f"--proto_path={root}",
                f"--proto_path={well_known}",
                f"--proto_path={google.parent}",
                f"--proto_path={renamed.parents[1]}",
                f"--python_out={out}",
                f"--grpc_python_out={out}",
                f"--plugin=protoc-gen-mypy={self._plugin(tools, 'protoc-gen-mypy')}",
                f"--plugin=protoc-gen-mypy_grpc={self._plugin(tools, 'protoc-gen-mypy_grpc')}",
                f"--mypy_out=quiet:{out}",
                f"--mypy_grpc_out=quiet:{out}",
                # With their comments, from which the gateway makes the texts of its OpenAPI document.
                "--include_source_info",
                f"--descriptor_set_out={contracts}",
                *sources,
            ]
        )
        if status != 0:
            raise RuntimeError("protoc refused the contracts; its message stands above")
        (out / "huiyin" / "py.typed").touch()
        build_data["force_include"][str(out / "huiyin")] = "huiyin"
        build_data["pure_python"] = True

    @staticmethod
    def _folder_of(module: str) -> Path:
        # google is a namespace package of several distributions, so only a module says where its own files are.
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            raise RuntimeError(f"{module} is missing; install googleapis-common-protos, which brings it")
        return Path(spec.origin).parent

    @staticmethod
    def _plugin(tools: Path, name: str) -> str:
        found = shutil.which(name, path=str(tools)) or shutil.which(name)
        if found is None:
            raise RuntimeError(f"{name} is missing; install mypy-protobuf, which brings it")
        return found
