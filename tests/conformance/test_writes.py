"""Every method that writes may be repeated, and overwrites nothing unseen: what tests.conformance.day found."""

from __future__ import annotations

import pytest

from tests.conformance.world import METHODS, World

ELSEWHERE_PROVED = {
    "analyzer.AcceptRegrouping": "the analyzer proposes of itself, in its own time: test_analyzer_regroupings",
    "analyzer.DismissRegrouping": "the same",
    "collector.ImportOpml": "what is visited stands outside: tests/integration/collector",
    "collector.PauseSource": "the same",
    "collector.ResumeSource": "the same",
    "collector.RunSource": "the same",
    "casework.CompleteClock": "a clock has to run out first: test_casework_supervision",
}
"""Methods that need what a day does not bring, and the tests that have it."""

WITHOUT_REQUEST_ID = {
    "collector.UpdateSource": "sets what is given; its etag says what was seen",
    "collector.ImportOpml": "sources are known again by their addresses",
    "collector.PauseSource": "sets what is given",
    "collector.ResumeSource": "sets what is given",
    "collector.RunSource": "a second visit finds nothing new",
    "collector.ImportPosts": "rows are known again by their ids",
    "collector.CancelOperation": "what is done stays done",
    "analyzer.CancelOperation": "what is done stays done",
    "collector.DeliverPosts": "its webhook_id is one",
    "collector.RotateSourceSecret": "a second secret leaves the first in force for a day; neither may be remembered",
    "analyzer.BatchUpdateTopics": "sets what is given",
    "analyzer.BatchUpdatePlaces": "sets what is given",
    "analyzer.TrainTopicModel": "a second training is a second model, and only one is in force",
    "analyzer.ActivateTopicModel": "sets what is given",
    "analyzer.DeactivateTopicModel": "sets what is given",
    "casework.BatchUpdateUnits": "sets what is given",
    "casework.CreatePartner": "its id is given; a repetition is ALREADY_EXISTS, and its secret is shown once",
    "casework.UpdatePartner": "sets what is given; its etag says what was seen",
    "casework.RotatePartnerSecret": "a second secret leaves the first in force for a day; neither may be remembered",
    "casework.SubmitPartnerInquiry": "its webhook_id is one",
    "casework.ReadContact": "each reading is one, and is recorded",
    "casework.ImportCases": "rows are known again by their ids",
    "casework.BatchCreateAnswers": "answers are known again by their ids",
    "casework.DeleteAnswer": "what is gone stays gone",
    "casework.UpdateCaseFilter": "sets what is given",
    "casework.DeleteCaseFilter": "what is gone stays gone",
    **{
        f"{service}.UpdatePolicy": "the same body again makes no version"
        for service in ("analyzer", "casework", "notifier")
    },
}
"""Methods that write and take no request_id, and why a repetition does no harm."""

READS = (
    "Get",
    "List",
    "Search",
    "Watch",
    "Lookup",
    "Explain",
    "Compare",
    "Verify",
    "Check",
    "Download",
    "Analyze",
    "Test",
)
READS_TOO = {
    "collector.ExportOpml",
    "collector.TrySource",
    "casework.PrepareInquiry",
    "casework.ProposeAssignment",
    "casework.FillReplyTemplate",
    "casework.PrintOrder",
}


def carries(key: str, name: str) -> bool:
    return name in METHODS[key][1].input_type.fields_by_name


def test_every_method_that_writes_takes_a_request_id_or_need_not() -> None:
    writes = {key for key in METHODS if not key.partition(".")[2].startswith(READS) and key not in READS_TOO}
    assert {key for key in writes if not carries(key, "request_id")} == set(WITHOUT_REQUEST_ID)


PROVED = [key for key in METHODS if carries(key, "request_id") or carries(key, "etag") or key in WITHOUT_REQUEST_ID]


@pytest.mark.parametrize("key", [key for key in PROVED if key not in ELSEWHERE_PROVED])
def test_what_is_repeated_is_done_once_and_what_is_stale_not_at_all(world: World, key: str) -> None:
    assert world.done[key] == []
