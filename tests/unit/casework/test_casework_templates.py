"""Templates of replies: what a case knows is filled in, the rest stays open and is told."""

from __future__ import annotations

from pathlib import Path

import huiyin_casework
import pytest
from huiyin_casework.model.templates import Template, TemplateError, fill, parse_templates, suited

SEED = Path(huiyin_casework.__file__).parent / "data" / "templates.yaml"


def test_what_the_case_knows_is_filled_in_and_the_rest_is_left_open() -> None:
    template = Template(
        "t", "办结", (), (), "您好！“{subject}”已由{unit}处理，{采取的措施}。联系方式：{contact}。{采取的措施}。"
    )
    assert template.slots == ("subject", "unit", "采取的措施", "contact")
    text, left = fill(template, {"subject": "路灯不亮", "unit": "城管局", "contact": ""})
    assert text == (
        "您好！“路灯不亮”已由城管局处理，〔待填：采取的措施〕。联系方式：〔待填：联系方式〕。〔待填：采取的措施〕。"
    )
    assert left == ["采取的措施", "contact"]


def test_the_seeded_templates_can_be_read_and_leave_the_facts_to_whoever_writes() -> None:
    templates = parse_templates(SEED.read_text("utf-8"))
    assert len(templates) >= 5
    known = {"subject": "路灯", "unit": "城管局", "contact": "电话", "received": "3月1日"}
    for template in templates:
        text, left = fill(template, known)
        assert left, f"{template.id} would be sent without a fact"
        assert "{" not in text


def test_templates_for_the_topic_come_first_the_nearest_before_those_for_all() -> None:
    everywhere = Template("all", "通用", (), (), "x")
    water = Template("water", "供水", ("城乡建设.市政设施.供水排水",), (), "x")
    works = Template("works", "市政", ("城乡建设.市政设施",), (), "x")
    schools = Template("schools", "学校", ("教育文体",), (), "x")
    found = suited([everywhere, schools, works, water], "城乡建设.市政设施.供水排水")
    assert [template.id for template in found] == ["water", "works", "all"]
    assert [template.id for template in suited([everywhere, works], "城乡建设.市政")] == ["all"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("a: [", "not YAML"),
        ("templates: {}", "a list"),
        ("templates: [x]", "templates[0]: must be a mapping"),
        ("templates: [{id: X, name: n, text: t}]", "templates[0].id"),
        ("templates: [{id: x, text: t}]", "templates[0].name"),
        ("templates: [{id: x, name: n, text: t, intents: [anger]}]", "anger is not known"),
        ("templates: [{id: x, name: n, text: t, colour: red}]", "templates[0].colour"),
        ("templates: [{id: x, name: n, text: t}, {id: x, name: n, text: t}]", "twice"),
    ],
)
def test_each_mistake_is_told_with_its_place(body: str, told: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse_templates(body)
    assert told in str(caught.value)
