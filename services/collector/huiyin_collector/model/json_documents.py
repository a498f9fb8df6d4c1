"""JSON of hosts that nobody vouches for."""

from __future__ import annotations

import json

from huiyin_collector.model.faults import Fault


def read_json(text: str) -> object:
    """A JSON document, control characters within its texts forgiven. Raises Fault: JSON_BROKEN, JSON_TOO_DEEP."""
    try:
        document: object = json.loads(text, strict=False)
    except RecursionError:
        raise Fault("JSON_TOO_DEEP", "the document nests deeper than any source does") from None
    except ValueError:
        raise Fault("JSON_BROKEN", "the document cannot be read as JSON") from None
    return document
