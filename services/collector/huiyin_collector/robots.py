"""`python -m huiyin_collector.robots --agent A --url U < robots.txt` prints whether the agent may fetch the URL."""

from __future__ import annotations

import argparse
import sys

from huiyin_collector.model.robots import read_robots


def main() -> None:
    """Reads standard input; prints `allowed` or `disallowed`."""
    parser = argparse.ArgumentParser(
        prog="python -m huiyin_collector.robots",
        description="Reads a robots.txt on standard input and prints allowed or disallowed.",
    )
    parser.add_argument("--agent", required=True, help="product token of the crawler, such as Huiyin")
    parser.add_argument("--url", required=True, help="the address that it would fetch")
    given = parser.parse_args()
    robots = read_robots(sys.stdin.buffer.read(), given.agent)
    print("allowed" if robots.allows(given.url) else "disallowed")


if __name__ == "__main__":
    main()
