"""YAML read strictly: every key is asked for by name, and a key nobody asked for is refused."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from pathlib import Path

import yaml

from salus.errors import SourceFileError, SourceKeyError, SourceValueError, nearest

QUOTE = 'write it in quotes: "No", "Yes", "on"'


class Section:
    """One mapping of a YAML file that remembers which keys were read."""

    def __init__(self, content: object, *, file: str, place: str = "") -> None:
        self.file = file
        self.place = place
        if not isinstance(content, dict):
            raise self.wrong(f"{place or 'the file'} must be a list of 'key: value' pairs")
        if any(isinstance(key, bool) for key in content):
            raise self.wrong(f"{place or 'the file'} has a key that YAML reads as true or false", QUOTE)
        self._content: dict[str, object] = {str(key): value for key, value in content.items()}
        if len(self._content) != len(content):
            raise self.wrong(f"two keys of {place or 'the file'} are written the same")
        self._asked: set[str] = set()

    def wrong(
        self, what: str, fix: str = "correct it; the keys are explained in salus/formats/csv_source.py"
    ) -> SourceValueError:
        """An error about this place of the file."""
        return SourceValueError(
            what, where=f"{self.file}, {self.place}" if self.place else self.file, fix=fix
        )

    def has(self, key: str) -> bool:
        """Whether the key is written; it counts as known either way."""
        self._asked.add(key)
        return key in self._content

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys as written, in the file's order."""
        return tuple(self._content)

    def _take(self, key: str, required: bool) -> object:
        if not self.has(key):
            if required:
                raise self.wrong(f"'{key}' is missing in {self.place or 'the file'}", f"add '{key}: …' there")
            return None
        return self._content[key]

    def text(self, key: str, default: str | None = None) -> str:
        """A word or sentence; numbers and dates are taken as written."""
        value = self._take(key, default is None)
        if value is None:
            return default or ""
        if isinstance(value, dict | list | bool):
            raise self.wrong(f"'{key}' must be a text")
        return str(value)

    def number(self, key: str) -> float | None:
        """A number, or None where the key is absent."""
        value = self._take(key, False)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(f"'{key}' must be a number")
        return float(value)

    def flag(self, key: str) -> bool:
        """True or false; false where the key is absent."""
        value = self._take(key, False)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise self.wrong(f"'{key}' must be true or false")
        return value

    def words(self, key: str) -> tuple[str, ...]:
        """A list of texts; empty where the key is absent."""
        items = self.items(key)
        if any(isinstance(item, bool) for item in items):
            raise self.wrong(f"'{key}' holds a word that YAML reads as true or false", QUOTE)
        return tuple(str(item) for item in items)

    def items(self, key: str) -> tuple[object, ...]:
        """A list of anything; empty where the key is absent."""
        value = self._take(key, False)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self.wrong(f"'{key}' must be a list: [..., ...]")
        return tuple(value)

    def pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        """A mapping of texts to texts, in order."""
        if not self.has(key):
            return ()
        inner = self.section(key)
        return tuple((name, inner.text(name)) for name in inner.keys)

    def section(self, key: str) -> Section:
        """The mapping under this key."""
        return Section(self._take(key, True), file=self.file, place=f"{self.place}.{key}".strip("."))

    def sections(self, key: str) -> tuple[tuple[str, Section], ...]:
        """Name and mapping of each entry under this key."""
        if not self.has(key):
            return ()
        inner = self.section(key)
        return tuple((name, inner.section(name)) for name in inner.keys)

    def one_of(self, key: str, allowed: Iterable[str], default: str | None = None) -> str:
        """A word out of a fixed list."""
        known = list(allowed)
        value = self.text(key, default)
        if value not in known:
            raise self.wrong(
                f"'{key}' cannot be '{value}'{nearest(value, known)}", f"use one of: {', '.join(known)}"
            )
        return value

    def done(self) -> None:
        """Refuse what is written here but was never asked for."""
        for key in self._content:
            if key not in self._asked:
                raise SourceKeyError(
                    f"unknown key '{key}'{nearest(key, self._asked)}",
                    where=f"{self.file}, {self.place}" if self.place else self.file,
                    fix=f"use one of: {', '.join(sorted(self._asked))}",
                )


class _EachKeyOnce(yaml.SafeLoader):
    """YAML itself lets the last of two equal keys win without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        """Refuse a key that stands twice in one mapping; `<<` may still be overridden."""
        written = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in {key for key in written if written.count(key) > 1}:
            raise yaml.MarkedYAMLError(problem=f"holds the key '{key}' twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def read_section(path: Path) -> Section:
    """Read a YAML file whose top is a mapping."""
    try:
        content = yaml.load(path.read_bytes(), Loader=_EachKeyOnce)
    except IsADirectoryError as error:
        raise SourceFileError(
            f"'{path.name}' is a folder, and not of a kind that is plain to see",
            where=str(path),
            fix="say what it holds with --as fhir|omop|hl7v2|meds; for CSV files write a source.yaml: salus draft",
        ) from error
    except FileNotFoundError as error:
        raise SourceFileError(
            f"there is no file '{path.name}'", where=str(path), fix="check the path"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or ""
        line = f", line {mark.line + 1}" if mark else ""
        raise SourceFileError(
            f"'{path.name}' {problem if 'twice' in problem else 'is not valid YAML'}",
            where=f"{path}{line}",
            fix="mend the YAML; quote texts that hold ': ' or '#'",
        ) from error
    return Section(content, file=path.name)
