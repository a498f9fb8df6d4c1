"""How `huiyin train` and `huiyin models` show a model."""

from __future__ import annotations

from typing import Any

from huiyin_cli.training import COLUMNS, comparison, report_lines


def model(number: int, macro_f1: float, data_hash: str = "a", **labels: float) -> dict[str, Any]:
    """A TopicModel as the gateway gives it."""
    return {
        "name": f"topicModels/{number}",
        "state": "STATE_KEPT",
        "author": "accounts/admin",
        "report": {
            "texts": 1200,
            "skippedRows": 3,
            "folds": 5,
            "macroF1": macro_f1,
            "accuracy": 0.9,
            "dataHash": data_hash,
            "labels": [
                {"label": name, "precision": 0.5, "recall": 1, "f1": f1, "support": 7} for name, f1 in labels.items()
            ],
            "confusion": [{"predicted": [7, 0]}, {"predicted": [1, 6]}],
            "calibration": {
                "bins": [{"least": 0.9, "most": 1, "count": 14, "confidence": 0.95, "accuracy": 0.93}],
                "lowBelow": 0.6,
                "lowShare": 0.071,
                "accuracyOfLow": 0.52,
                "accuracyOfOthers": 0.94,
            },
        },
    }


def test_a_report_shows_labels_their_confusion_and_how_far_confidence_holds() -> None:
    lines = list(report_lines(model(3, 0.9134, 交通=0.9, 环境保护=0.8)))
    assert lines[0] == "topicModels/3  kept  by accounts/admin"
    assert lines[1].startswith("1,200 texts with 2 labels; 3 rows passed over")
    assert lines[2].startswith("macro-F1 0.913, accuracy 0.900") and "5-fold" in lines[2]
    table = {line.split()[1]: line.split() for line in lines if line.startswith(("a ", "b "))}
    assert table["环境保护"] == ["b", "环境保护", "1", "6"]
    assert "a 交通          0.500   1.000  0.900      7" in lines
    assert lines[-1].startswith("Calibration error 0.000. 7.1% are told with less than 0.6")


def test_models_are_compared_label_by_label_and_the_texts_are_told_apart() -> None:
    lines = list(comparison(model(1, 0.9, 交通=0.9), model(2, 0.95, "b", 交通=0.8, 环保=0.7)))
    assert "different texts" in lines[0]
    assert lines[2].split() == ["macro-F1", "0.900", "0.950", "+0.050"]
    assert lines[-2].split() == ["F1", "交通", "0.900", "0.800", "-0.100"]
    assert lines[-1].split() == ["F1", "环保", "—", "0.700"]
    assert "the same texts" in next(comparison(model(1, 0.9), model(2, 0.9)))


def test_a_list_shows_each_model_in_a_line() -> None:
    shown = [read(model(3, 0.9134, 交通=0.9)) for read in COLUMNS.values()]
    assert shown == ["topicModels/3", "kept", "1,200", "1", "0.913", "0.900", "admin"]
