"""Partial updates name what they change."""

from __future__ import annotations

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from huiyin_chassis.errors import InvalidArgument
from huiyin_chassis.field_masks import masked_fields

UPDATABLE = ("display_name", "places")


@pytest.mark.parametrize("paths", [[], ["*"]])
def test_no_mask_means_every_field_that_can_change(paths: list[str]) -> None:
    assert masked_fields(FieldMask(paths=paths), UPDATABLE) == ["display_name", "places"]


def test_only_what_the_mask_names_changes() -> None:
    assert masked_fields(FieldMask(paths=["places"]), UPDATABLE) == ["places"]


@pytest.mark.parametrize("path", ["name", "places.0", ""])
def test_what_cannot_change_is_refused_with_what_can(path: str) -> None:
    with pytest.raises(InvalidArgument, match="choose of display_name, places") as caught:
        masked_fields(FieldMask(paths=["places", path]), UPDATABLE)
    assert caught.value.violations[0].field == "update_mask"
