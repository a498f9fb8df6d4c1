"""What `python -m huiyin_NAME` does in every part: read the settings, migrate or serve, and end with one sentence."""

from __future__ import annotations

import gc
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from huiyin_chassis import paging, telemetry
from huiyin_chassis.config import ConfigError, ProcessSettings
from huiyin_chassis.errors import DomainError
from huiyin_chassis.logs import configure_logging

S = TypeVar("S", bound=ProcessSettings)


def main(
    name: str,
    settings_type: type[S],
    serve: Callable[[S], Awaitable[None]],
    migrate: Callable[[S], None],
    commands: Mapping[str, Callable[[S, list[str]], None]] | None = None,
) -> None:
    """Runs `serve` (the default), `migrate`, or a command of the process's own with its arguments.

    A mistake in the settings or the surroundings is told in a sentence on standard error; the exit code is 2 for
    settings and usage, 1 for the rest.
    """
    command, *arguments = sys.argv[1:] or ["serve"]
    known = {"serve": None, "migrate": None, **(commands or {})}
    if command not in known:
        sys.exit(_told(2, f"{command} is not a command of huiyin_{name}; use one of: {', '.join(known)}"))
    try:
        settings = settings_type.load()
    except ConfigError as error:
        sys.exit(_told(2, str(error)))
    configure_logging(name, settings.log_level, settings.log_format)
    _spare_the_collector()
    try:
        if command == "serve":
            import grpc.aio
            import uvloop

            # Held for the life of the process: gRPC would otherwise end its threads as soon as its last object goes,
            # in the midst of the loop, and wait there for calls that the loop has yet to finish.
            grpc.aio.init_grpc_aio()
            paging.use_key(settings.key_file)
            telemetry.configure_tracing(name, settings.otlp_endpoint)
            uvloop.run(serve(settings))  # type: ignore[arg-type]
        elif command == "migrate":
            migrate(settings)
        elif commands:
            commands[command](settings, arguments)
    except DomainError as error:
        sys.exit(_told(1, error.message))
    except KeyboardInterrupt:
        sys.exit(130)


def _spare_the_collector() -> None:
    """Modules live as long as the process, and batches make many objects that die by themselves: look less often."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _told(code: int, message: str) -> int:
    print(message, file=sys.stderr)
    return code
