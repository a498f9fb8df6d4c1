"""Partial updates by field mask (AIP-134)."""

from __future__ import annotations

from collections.abc import Collection

from google.protobuf.field_mask_pb2 import FieldMask

from huiyin_chassis.errors import InvalidArgument


def masked_fields(mask: FieldMask, updatable: Collection[str]) -> list[str]:
    """The fields to change: those of the mask, or all updatable ones when it is empty or "*".

    Raises InvalidArgument on update_mask, naming the field that cannot be changed.
    """
    if not mask.paths or list(mask.paths) == ["*"]:
        return list(updatable)
    for path in mask.paths:
        if path not in updatable:
            raise InvalidArgument(
                "update_mask", f"{path} cannot be changed; choose of {', '.join(updatable)}", "FIELD_NOT_UPDATABLE"
            )
    return list(mask.paths)
