"""Names of resources that a request brings."""

from __future__ import annotations

from huiyin_chassis.errors import InvalidArgument


def id_of(name: str, collection: str, field: str) -> str:
    """The id in a resource name. Raises InvalidArgument."""
    prefix, _, bare = name.partition("/")
    if prefix != collection or not bare or "/" in bare:
        raise InvalidArgument(field, f"must be a name such as {collection}/ID", "NAME_INVALID")
    return bare


def parent_of(name: str, collection: str, part: str) -> str:
    """The resource whose one part of that kind a name means. Raises InvalidArgument."""
    parent, _, rest = name.rpartition("/")
    if rest != part:
        raise InvalidArgument("name", f"must be a name such as {collection}/ID/{part}", "NAME_INVALID")
    return parent
