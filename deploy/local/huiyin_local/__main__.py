"""`make run`: prepares, starts and watches the five processes until Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huiyin_local import preflight
from huiyin_local.layout import Layout, inherited
from huiyin_local.system import running

_TOWN = Path(__file__).parents[3] / "samples"
_ROLES = {
    "desk": "imports, assigns, publishes, closes",
    "officer": "accepts a case and drafts the answer",
    "reviewer": "reviews the draft",
    "approver": "approves it",
    "admin": "writes units, topics, places and policies",
}


def main() -> int:
    """Runs until SIGINT or SIGTERM; returns the exit code."""
    try:
        layout = preflight.read_layout(os.environ)
        with_town = (os.environ.get("SAMPLES") or "1") != "0"
        preflight.check(layout)
        print(
            "Bringing the stores up to date, then starting collector, analyzer, casework, notifier, gateway …",
            flush=True,
        )
        with _interruptible(), running(layout) as supervisor:
            if with_town:
                load_town(layout)
            print(_welcome(layout, with_town), flush=True)
            try:
                supervisor.wait()
            except KeyboardInterrupt:
                print("\nDraining and stopping …", flush=True)
    except preflight.CannotStart as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print("Stopped. The next start goes on where this one ended.")
    return 0


def load_town(layout: Layout) -> None:
    """Loads the sample town once: its topics, places, units and policies, then its messages."""
    mark = layout.var / "town"
    if mark.exists():
        return
    huiyin = str(Path(sys.executable).parent / "huiyin")
    environment = inherited() | {"HUIYIN_CLIENT_FILE": str(layout.client_file)}
    print("Loading the sample town …", flush=True)
    for arguments in (("apply", str(_TOWN)), ("import", str(_TOWN / "messages.csv"), "--source", "yunxi-board")):
        done = subprocess.run([huiyin, *arguments], env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            why = (done.stderr or done.stdout).strip()[-500:]
            raise preflight.CannotStart(f"The sample town could not be loaded (huiyin {arguments[0]}): {why}")
    mark.touch()


def _welcome(layout: Layout, with_town: bool) -> str:
    keys: dict[str, str] = tomllib.loads(layout.client_file.read_text("utf-8"))["keys"]
    accounts = "\n".join(f"  {name:<9} {keys[name]}  {what}" for name, what in _ROLES.items() if name in keys)
    client = layout.client_file
    # huiyin looks for var/client.toml where it is started; another place has to be named.
    prefix = "" if client == Path.cwd() / "var" / "client.toml" else f"HUIYIN_CLIENT_FILE={client} "
    huiyin = f"  {prefix}.venv/bin/huiyin "
    first = (
        f"{huiyin}events list"
        if with_town
        else f"{huiyin}import FILE.xlsx    # or .csv, .jsonl: messages with their times"
    )
    return f"""
Huiyin is ready at {layout.address}   (state in {layout.var}, logs in {layout.logs})

Demonstration accounts and their keys, also in {client}:
{accounts}

Three commands worth trying, in another terminal:
{first}
{huiyin}cases list
{huiyin}inquire "路灯坏了一个月，晚上走路不安全，什么时候修？"

Ctrl-C drains and stops everything; the next start goes on where this one stopped."""


@contextmanager
def _interruptible() -> Iterator[None]:
    """Turns a request to end, and a closed terminal, into the same KeyboardInterrupt as Ctrl-C."""
    signals = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.default_int_handler) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
