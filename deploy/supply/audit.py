"""Says which of the pinned packages have known weaknesses: python deploy/supply/audit.py REQUIREMENTS…

It runs in the environment of pip-audit, which asks pypi.org of each package. Where a single one could not be asked of,
it fails: nothing passes because nobody answered.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = [str(Path(sys.executable).parent / "pip-audit")]
OPTIONS = ["--strict", "--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
"""Strict: without it a package that the service does not know, or does not tell of, passes."""


class CouldNotAsk(Exception):
    """The audit came to no end."""


def weaknesses(requirements: str, command: list[str] = COMMAND) -> tuple[int, list[str]]:
    """How many packages were asked of, and a line for each weakness. Raises CouldNotAsk."""
    done = subprocess.run([*command, "-r", requirements, *OPTIONS], capture_output=True, text=True, check=False)
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
        unasked = [each["skip_reason"] for each in packages if "skip_reason" in each]
    except (ValueError, KeyError):
        packages, unasked = [], (done.stderr.strip() or "it said nothing").splitlines()[-1:]
    if unasked or not packages:
        said = unasked[0] if unasked else "no package"
        raise CouldNotAsk(
            f"{requirements} could not be audited, and nothing is known of its weaknesses: pip-audit has to reach "
            f"pypi.org itself, for mirrors of it do not tell of them. It said: {said}"
        )
    return len(packages), [
        f"{package['name']} {package['version']}: {weakness['id']}, mended in "
        f"{', '.join(weakness['fix_versions']) or 'no version yet'}"
        for package in packages
        for weakness in package["vulns"]
    ]


def main(files: list[str]) -> int:
    """Exit code: 1 where there are weaknesses, or where it could not be found out."""
    code = 0
    for requirements in files:
        try:
            count, found = weaknesses(requirements)
        except CouldNotAsk as error:
            print(error, file=sys.stderr)
            code = 1
            continue
        print(f"{requirements}: {count} packages, {len(found)} known weaknesses", *found, sep="\n  ")
        code = code or int(bool(found))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
