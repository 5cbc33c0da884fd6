"""Read a usecase.yaml strictly: what means nothing is refused with the nearest that does."""

from __future__ import annotations

import re
from pathlib import Path

from salus.errors import SourceError, SourceFileError, UseCaseFileError, UseCaseValueError
from salus.formats.strict_yaml import Section, read_section
from salus.programme.usecase import Card, GroupRule, Inputs, State, UseCase

TIERS = ("1", "2", "3")
OLDEST = 120
FORM = "correct it; docs/reference/protocol.md explains every key of a usecase.yaml"


def read_usecase(path: Path) -> UseCase:
    """Read a usecase.yaml. Whether its ``kind`` is one that Salus has is checked where the kinds are known.

    Raises UseCaseFileError (SAL-651) where there is none or it is not YAML, UseCaseValueError (SAL-652) where it says
    something that cannot be so.
    """
    try:
        return _usecase(read_section(path))
    except SourceFileError as error:
        raise UseCaseFileError(error.what, where=error.where, fix=error.fix) from error
    except SourceError as error:
        fix = FORM if "csv_source" in error.fix else error.fix
        raise UseCaseValueError(error.what, where=error.where, fix=fix) from error


def _usecase(content: Section) -> UseCase:
    usecase = UseCase(
        name=_word(content, "name"),
        title=_sentence(content, "title"),
        kind=_word(content, "kind"),
        state=State(content.one_of("state", [state.value for state in State])),
        tier=int(content.one_of("tier", TIERS)),
        owner=content.text("owner", "") or None,
        card=_card(content.section("card")),
        inputs=_inputs(content.section("inputs")),
        groups=_groups(content),
        baseline=_sentence(content, "baseline"),
    )
    content.done()
    return usecase


def _card(content: Section) -> Card:
    card = Card(
        purpose=_sentence(content, "purpose"),
        users=_some(content, "users"),
        patients=_sentence(content, "patients"),
        not_for=_some(content, "not_for"),
        limits=_some(content, "limits"),
    )
    content.done()
    return card


def _inputs(content: Section) -> Inputs:
    inputs = Inputs(required=_some(content, "required"), used=content.words("used"))
    content.done()
    return inputs


def _groups(content: Section) -> tuple[GroupRule, ...]:
    return tuple(_group(label, rule) for label, rule in content.sections("groups"))


def _group(label: str, content: Section) -> GroupRule:
    if content.has("codes") == content.has("cut_at"):
        raise content.wrong(
            f"the groups '{label}' need either 'codes' or 'cut_at'",
            "write 'codes: {F: SEX//F, M: SEX//M}' or 'cut_at: [50, 65, 80]'",
        )
    rule = GroupRule(label=label, codes=content.pairs("codes"), cuts=_cuts(content))
    content.done()
    if label == "age" and not rule.cuts:
        raise content.wrong("ages are numbers: they are cut, not coded", "write 'cut_at: [50, 65, 80]'")
    if label != "age" and rule.cuts:
        raise content.wrong(f"only age can be cut, not '{label}'", "call it 'age', or give it 'codes'")
    if rule.codes and len({code for _, code in rule.codes}) < len(rule.codes):
        raise content.wrong(f"two groups of '{label}' have the same code", "give each group its own code")
    return rule


def _cuts(content: Section) -> tuple[int, ...]:
    cuts: list[int] = []
    for item in content.items("cut_at"):
        if isinstance(item, bool) or not isinstance(item, int) or not 0 < item < OLDEST:
            raise content.wrong("'cut_at' holds ages in whole years", "write 'cut_at: [50, 65, 80]'")
        cuts.append(item)
    if cuts != sorted(set(cuts)) or (content.has("cut_at") and not cuts):
        raise content.wrong("the ages of 'cut_at' must rise", "write 'cut_at: [50, 65, 80]'")
    return tuple(cuts)


def _word(content: Section, key: str) -> str:
    word = content.text(key)
    if not re.fullmatch(r"[a-z][a-z0-9-]*", word):
        raise content.wrong(
            f"'{key}' cannot be '{word}'", "use small letters, digits and hyphens, such as early-warning"
        )
    return word


def _sentence(content: Section, key: str) -> str:
    sentence = content.text(key).strip()
    if not sentence:
        raise content.wrong(f"'{key}' says nothing", "write one sentence")
    return sentence


def _some(content: Section, key: str) -> tuple[str, ...]:
    words = content.words(key)
    if not words:
        state = "is empty" if key in content.keys else "is missing"
        raise content.wrong(f"'{key}' {state}", f"write '{key}: [..., ...]'")
    return words
