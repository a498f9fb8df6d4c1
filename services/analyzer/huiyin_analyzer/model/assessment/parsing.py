"""Reads a grading policy, and tells every mistake with its line and column."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import cel
import yaml

from huiyin_analyzer.model.assessment.figures import FIGURES, FRACTIONS, GRADES
from huiyin_analyzer.model.assessment.grading import Grading, Rule, variables

_MOST_RULES: Final = 100
_MOST_MEDIA: Final = 1000
_LONGEST: Final = {"id": 100, "grade": 100, "when": 1000, "why": 500}
_RULE_FIELDS: Final = tuple(_LONGEST)
_POLICY_FIELDS: Final = ("rules", "media")

_SOURCE: Final = re.compile(r"sources/[a-z0-9][a-z0-9-]{0,62}")
_COMMENT: Final = re.compile(r"//[^\n]*")
_NAME: Final = re.compile(r"(?<![\w.])[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*")
_WORDS: Final = frozenset({"true", "false", "in", "int", "double"})
_CEL_PLACE: Final = re.compile(r"<input>:(\d+):(\d+): (?:Syntax error: )?(.*)")


class Mistake(NamedTuple):
    """What is wrong with a policy: the field, where it stands (from 1), and a sentence with the remedy."""

    place: str
    line: int
    column: int
    problem: str


class PolicyError(ValueError):
    """A grading policy cannot be used; every mistake, in the order of the document."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        self.mistakes = sorted(mistakes, key=lambda mistake: (mistake.line, mistake.column))
        super().__init__("; ".join(f"line {m.line}, column {m.column}: {m.place} {m.problem}" for m in self.mistakes))


def parse_grading(body: str) -> Grading:
    """Compiles a policy in YAML: `rules`, a list of {id, grade, when, why}, and `media`, a list of sources.

    Names that a condition uses are checked, and it is evaluated for figures from nothing to very many, since CEL finds
    what does not fit only then. Raises PolicyError with every mistake.
    """
    return _Parser(body).parse()


class _Parser:
    def __init__(self, body: str) -> None:
        self._body = body
        self._mistakes: list[Mistake] = []

    def parse(self) -> Grading:
        root = self._compose()
        fields = self._fields(root, "", "a grading policy", _POLICY_FIELDS) if root is not None else {}
        rules = self._rules(fields.get("rules"), root)
        media = self._media(fields.get("media"))
        if self._mistakes:
            raise PolicyError(self._mistakes)
        return Grading(tuple(sorted(rules, key=lambda rule: -rule.grade)), frozenset(media))

    def _compose(self) -> yaml.Node | None:
        try:
            return yaml.compose(self._body, yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line, mark.column) if mark else (0, 0)
            told = ", ".join(filter(None, (error.context, error.problem)))
        except yaml.reader.ReaderError as error:
            before = self._body[: error.position]
            line, column = before.count("\n"), error.position - (before.rfind("\n") + 1)
            told = "a character that YAML does not allow"
        except RecursionError:
            line, column, told = 0, 0, "it is nested too deeply"
        raise PolicyError([Mistake("body", line + 1, column + 1, f"is not YAML: {told}")])

    def _wrong(self, node: yaml.Node | None, place: str, problem: str, offset: int | None = None) -> None:
        line, column = self._position(node, offset) if node is not None else (1, 1)
        self._mistakes.append(Mistake(place or "body", line, column, problem))

    def _fields(self, node: yaml.Node, place: str, what: str, known: tuple[str, ...]) -> dict[str, yaml.Node]:
        """The values of a mapping by name; tells of what is no mapping, of unknown and of repeated names."""
        if not isinstance(node, yaml.MappingNode):
            self._wrong(node, place, f"must be a mapping with {_listed(known)}")
            return {}
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            at = f"{place}.{name}".lstrip(".")
            if name not in known:
                self._wrong(key, at, f"is not a field of {what}; it has {_listed(known)}")
            elif name in found:
                self._wrong(key, at, "is there twice; give it once")
            else:
                found[name] = value
        return found

    def _rules(self, node: yaml.Node | None, root: yaml.Node | None) -> list[Rule]:
        if not isinstance(node, yaml.SequenceNode):
            if node is not None or not self._mistakes:
                self._wrong(node or root, "rules", f"must be a list of rules, each with {_listed(_RULE_FIELDS)}")
            return []
        if len(node.value) > _MOST_RULES:
            self._wrong(node, "rules", f"has {len(node.value)} rules, at most {_MOST_RULES} are accepted")
            return []
        rules: list[Rule] = []
        ids: set[str] = set()
        for index, each in enumerate(node.value):
            rule = self._rule(each, f"rules[{index}]", ids)
            if rule is not None:
                rules.append(rule)
        return rules

    def _rule(self, node: yaml.Node, place: str, ids: set[str]) -> Rule | None:
        before = len(self._mistakes)
        fields = self._fields(node, place, "a rule", _RULE_FIELDS)
        if not isinstance(node, yaml.MappingNode):
            return None
        texts: dict[str, str] = {}
        for name, longest in _LONGEST.items():
            value = fields.get(name)
            if not isinstance(value, yaml.ScalarNode) or not value.value.strip() or value.tag.endswith(":null"):
                self._wrong(value or node, f"{place}.{name}", "is required, a text")
            elif len(value.value) > longest:
                self._wrong(
                    value, f"{place}.{name}", f"has {len(value.value)} characters, at most {longest} are accepted"
                )
            else:
                texts[name] = value.value
        if (found := texts.get("id")) in ids:
            self._wrong(fields["id"], f"{place}.id", f"{found} is used twice; ids must differ")
        ids.add(texts.get("id", ""))
        grade = texts.get("grade")
        if grade is not None and (grade not in GRADES or grade == "ORDINARY"):
            told = "must be LARGE, SERIOUS or ESPECIALLY_SERIOUS; ORDINARY needs no rule"
            self._wrong(fields["grade"], f"{place}.grade", told)
        condition = self._condition(fields["when"], f"{place}.when", texts["when"]) if "when" in texts else None
        if condition is None or len(self._mistakes) > before:
            return None
        reads, program = condition
        return Rule(texts["id"], GRADES[texts["grade"]], texts["when"], texts["why"], reads, program)

    def _condition(self, node: yaml.Node, place: str, when: str) -> tuple[tuple[str, ...], Any] | None:
        """The figures that a condition reads and its program; None after a mistake."""
        try:
            program = cel.compile(when)
        except Exception as error:  # the library raises ValueError and kinds of its own
            problem, offset = _syntax(str(error), when)
            self._wrong(node, place, f"is not a condition in CEL: {problem}", offset)
            return None
        reads = self._names(node, place, when)
        if reads is None:
            return None
        for sample in _samples(reads):
            problem = _tried(program, sample, reads)
            if problem:
                self._wrong(node, place, problem)
                return None
        return reads, program

    def _names(self, node: yaml.Node, place: str, when: str) -> tuple[str, ...] | None:
        """The figures named in a condition; None after a mistake. CEL would miss names that it does not reach."""
        before = len(self._mistakes)
        code = _COMMENT.sub(lambda match: " " * len(match[0]), when)
        quoted = re.search(r"[\"']", code)
        if quoted:
            told = "compares figures with numbers; texts in quotes have no place in it"
            self._wrong(node, place, told, quoted.start())
            return None
        reads: dict[str, None] = {}
        for match in _NAME.finditer(code):
            name = re.sub(r"\s+", "", match[0])
            if name in FIGURES:
                reads[name] = None
            elif name not in _WORDS:
                close = difflib.get_close_matches(name, FIGURES, 1)
                meant = f"; did you mean {close[0]}?" if close else ""
                self._wrong(
                    node, place, f"there is no figure {name}{meant}; figures are {', '.join(FIGURES)}", match.start()
                )
        if not reads and len(self._mistakes) == before:
            self._wrong(node, place, f"must read a figure; figures are {', '.join(FIGURES)}")
        return tuple(reads) if len(self._mistakes) == before else None

    def _media(self, node: yaml.Node | None) -> list[str]:
        if node is None or (isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null")):
            return []
        if not isinstance(node, yaml.SequenceNode) or len(node.value) > _MOST_MEDIA:
            self._wrong(node, "media", f"must be a list of at most {_MOST_MEDIA:,} names of sources")
            return []
        names: list[str] = []
        for index, each in enumerate(node.value):
            name = each.value if isinstance(each, yaml.ScalarNode) else ""
            if _SOURCE.fullmatch(name):
                names.append(name)
            else:
                self._wrong(each, f"media[{index}]", 'must be the name of a source, such as "sources/daily"')
        return names

    def _position(self, node: yaml.Node, offset: int | None) -> tuple[int, int]:
        """Line and column, from 1, of a node, or of a character of its text where the text stands as it is written."""
        line, column = node.start_mark.line, node.start_mark.column
        if offset is None or not isinstance(node, yaml.ScalarNode):
            return line + 1, column + 1
        if node.style == "|":
            above = node.value[:offset].split("\n")
            row = line + len(above)
            own = node.value.split("\n")[len(above) - 1]
            return row + 1, self._body.split("\n")[row].find(own) + len(above[-1]) + 1
        if node.style != ">" and node.end_mark.line == line:
            return line + 1, column + 1 + offset + (1 if node.style else 0)
        return line + 1, column + 1


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _syntax(error: str, when: str) -> tuple[str, int | None]:
    """The sentence of a syntax error, and the place in the condition where it was met."""
    match = _CEL_PLACE.search(error)
    if match is None:
        return error.splitlines()[0], None
    lines = when.split("\n")[: int(match[1]) - 1]
    problem = match[3].partition(" expecting ")[0]
    return problem, sum(len(line) + 1 for line in lines) + int(match[2]) - 1


def _samples(reads: tuple[str, ...]) -> Iterator[Mapping[str, float]]:
    """Complete figures from none to very many, each figure also apart from the others: every branch is reached."""
    for base in (0, 1, 1000):
        yield dict.fromkeys(FIGURES, base)
        for name in reads:
            for value in (0, 1, 1000):
                if value != base:
                    yield dict.fromkeys(FIGURES, base) | {name: value}


def _tried(program: Any, sample: Mapping[str, float], reads: tuple[str, ...]) -> str:
    """What is wrong with a condition for these figures; "" when nothing is."""
    where = ", ".join(f"{name} is {sample[name]:g}" for name in reads)
    try:
        answer = program.execute(variables(sample))
    except ZeroDivisionError:
        return f"divides by zero where {where}; ask first, as in: places > 0 && posts / places > 3"
    except TypeError:
        fractions = " and ".join(sorted(FRACTIONS))
        return (
            f"computes with what does not go together where {where}; {fractions} have a fraction, the others are "
            "counts: write double(posts) / growth, and join conditions only with && and ||"
        )
    except Exception as error:  # overflows, and kinds of the library's own
        return f"cannot be computed where {where}: {str(error).splitlines()[0]}"
    if not isinstance(answer, bool):
        return f"must be a condition that is true or false, and is {answer!r} where {where}"
    return ""
