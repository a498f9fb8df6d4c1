"""Topic models: what is fitted is read back as it was, tells what it learnt, and says how surely."""

from __future__ import annotations

import random

import pytest
from huiyin_analyzer.model.text import Reader
from huiyin_analyzer.model.topics import LOW, TopicModel, TopicReader, joined
from huiyin_analyzer.training.fitting import CannotTrain, Example, train

WORDS = {
    "环境保护": ["噪音", "油烟", "污水", "扬尘", "垃圾", "施工", "夜间", "恶臭"],
    "交通运输": ["公交", "路灯", "拥堵", "停车", "斑马线", "站台", "车费", "绕行"],
    "教育文体": ["学校", "入学", "老师", "补课", "幼儿园", "学位", "课本", "操场"],
}
TREE = {"环境保护": [], "环境保护.噪声": ["打桩"], "交通运输.公交": ["末班车"]}


def examples(count: int = 20) -> list[Example]:
    chance = random.Random(1)
    return [
        Example("", "，".join(chance.sample(words, 4)) + f"，第{number}次反映。", label)
        for label, words in WORDS.items()
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def model() -> TopicModel:
    return train(examples(), TREE)[0]


def test_a_model_tells_what_it_learnt_and_how_surely(model: TopicModel) -> None:
    sure, unsure = model.predict(["学校的老师要求补课，操场不开放", "今天天气不错"])
    assert sure.label == "教育文体" and not sure.low and sure.confidence > LOW
    assert unsure.confidence < sure.confidence


def test_the_words_of_the_tree_are_examples_too(model: TopicModel) -> None:
    assert [found.label for found in model.predict(["打桩", "末班车"])] == ["环境保护", "交通运输"]


def test_a_model_read_back_tells_the_same(model: TopicModel) -> None:
    texts = [example.text for example in examples(3)]
    assert TopicModel.load(model.dump()).predict(texts) == model.predict(texts)


def test_the_words_of_the_tree_choose_beneath_the_label(model: TopicModel) -> None:
    reader = TopicReader(model, 7, ["环境保护", "环境保护.噪声", "交通运输.公交"])
    text = "夜间施工噪音，打桩"
    read = Reader().read("", text)
    spoken_of = {"环境保护.噪声": 4, "交通运输.公交": 9}
    noisy, bare = reader.read([("", text)] * 2, [read._replace(topics=spoken_of), read])
    assert (noisy.path, noisy.model) == ("环境保护.噪声", 7)
    assert bare.path == "环境保护"


def test_the_report_says_what_cross_validation_found() -> None:
    report = train(examples(), TREE, skipped=2)[1]
    assert (report.texts, report.skipped_rows, report.folds) == (60, 2, 5)
    assert report.macro_f1 > 0.9 and [label.support for label in report.labels] == [20, 20, 20]
    assert sum(map(sum, report.confusion)) == 60 == sum(each.count for each in report.reliability)
    assert train(examples(), TREE)[1].data_hash == report.data_hash


def test_too_few_examples_are_refused_in_words() -> None:
    with pytest.raises(CannotTrain) as caught:
        train(examples(2), {})
    assert "反映" not in str(caught.value)


def test_a_model_reads_traditional_characters_as_simplified_ones() -> None:
    assert joined("Ａ３區", "夜間施工擾民") == joined("A3区", "夜间施工扰民") == "A3区夜间施工扰民"
