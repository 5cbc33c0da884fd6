"""A folder of images passes whole or not at all, by new names, with books that balance."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("pydicom", reason="pydicom is not installed: pip install 'salus[dicom]'")

from benchmarks import dicom_planted
from salus.deidentify.dicom.folder import BOOKS_FILE, deidentify_folder
from salus.deidentify.dicom.options import DicomOptions
from salus.deidentify.images import deidentify_images, pass_images
from salus.errors import ImagesTaken, InputMissing
from tests.planted_dicom import KEY, as_bytes, contents, small_image

OPTIONS = DicomOptions()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two images of one study, the first one twice, a text and a planted scan, in folders named after the patient."""
    folder = tmp_path / "Quxfield Zylandra"
    folder.mkdir()
    (folder / "a-quxfield.dcm").write_bytes(as_bytes(small_image()))
    (folder / "b-quxfield.dcm").write_bytes(as_bytes(small_image(SOPInstanceUID="1.2.3.5")))
    (folder / "c-copy.dcm").write_bytes(as_bytes(small_image()))
    (folder / "notes.txt").write_text("Mrs Quxfield was here")
    data = (dicom_planted.PACKAGED / "CT_small.dcm").read_bytes()
    (folder / "scan").write_bytes(dicom_planted.plant("CT_small.dcm", data).data)
    return folder


def test_read_is_written_plus_refused(source: Path, tmp_path: Path):
    books = deidentify_folder(source, tmp_path / "out", key=KEY, options=OPTIONS)
    assert (books.read, books.written, len(books.patients)) == (5, 3, 2)
    assert books.refused == {"its instance was written already": 1, "it is no DICOM file": 1}
    assert books.places == [(3, "its instance was written already"), (4, "it is no DICOM file")]
    stored = json.loads((tmp_path / "out" / BOOKS_FILE).read_text())
    assert (stored["read"], stored["written"], stored["refused"]) == (5, 3, 2)
    assert stored["with_pixels_blanked"] == 1
    assert stored["key"] == KEY.name


def test_no_name_of_a_file_and_no_byte_tells_the_patient(source: Path, tmp_path: Path):
    deidentify_folder(source, tmp_path / "out", key=KEY, options=OPTIONS)
    found = contents(tmp_path / "out")
    assert f"data/{KEY.uid('1.2.3')}/{KEY.uid('1.2.3.1')}/{KEY.uid('1.2.3.4')}.dcm" in found
    for name, data in found.items():
        assert dicom_planted.leaks(name.encode() + data) == []


def test_images_of_one_study_lie_together_and_the_same_files_give_the_same_bytes(
    source: Path, tmp_path: Path
):
    for to in ("one", "other"):
        deidentify_folder(source, tmp_path / to, key=KEY, options=OPTIONS)
    assert contents(tmp_path / "one") == contents(tmp_path / "other")
    studies = {Path(name).parts[0]: name for name in contents(tmp_path / "one" / "data")}
    assert set(studies) == {KEY.uid("1.2.3"), KEY.uid(dicom_planted.STUDY_UID)}


def test_the_input_stays_as_it_was(source: Path, tmp_path: Path):
    before = contents(source)
    deidentify_folder(source, tmp_path / "out", key=KEY, options=OPTIONS)
    assert contents(source) == before


def test_a_zip_file_is_read_without_unpacking_and_its_names_lead_nowhere(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr("../../../escaped.dcm", as_bytes(small_image()))
        archive.writestr("/escaped.dcm", as_bytes(small_image(SOPInstanceUID="1.2.3.5")))
    books = deidentify_folder(tmp_path / "in.zip", tmp_path / "deep" / "out", key=KEY, options=OPTIONS)
    assert books.written == 2
    assert not [path for path in tmp_path.rglob("*escaped*")]


def test_a_link_is_not_followed(tmp_path: Path):
    secret = tmp_path / "elsewhere.dcm"
    secret.write_bytes(as_bytes(small_image()))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link.dcm").symlink_to(secret)
    books = deidentify_folder(tmp_path / "in", tmp_path / "out", key=KEY, options=OPTIONS)
    assert books.refused == {"it is a link to elsewhere": 1}


@pytest.mark.parametrize("to", ["in/out", ".", "taken"])
def test_an_output_inside_the_input_or_full_is_refused(tmp_path: Path, to: str):
    (tmp_path / "in").mkdir()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "something").write_text("mine")
    with pytest.raises(ImagesTaken):
        deidentify_folder(tmp_path / "in", tmp_path / to, key=KEY, options=OPTIONS)
    assert (tmp_path / "taken" / "something").read_text() == "mine"


def test_a_source_that_is_not_there_is_said_so(tmp_path: Path):
    with pytest.raises(InputMissing):
        deidentify_folder(tmp_path / "in", tmp_path / "out", key=KEY, options=OPTIONS)
    assert not (tmp_path / "out").exists()


def test_the_door_opens_on_the_same_road(source: Path, tmp_path: Path):
    one = deidentify_images(source, tmp_path / "one", key=KEY, options=OPTIONS)
    other = pass_images(source, tmp_path / "other", key=KEY, options=OPTIONS, advance=lambda size: None)
    assert one.as_json() == other.as_json()
    assert contents(tmp_path / "one" / "data") == contents(tmp_path / "other")


def test_without_pydicom_the_door_says_what_to_install(tmp_path: Path):
    """In a process of its own, where pydicom cannot be found; options and books are there all the same."""
    script = (
        "import sys; sys.modules['pydicom'] = None\n"
        "from pathlib import Path\n"
        "from salus.deidentify.dicom.options import DicomOptions\n"
        "from salus.deidentify.images import deidentify_images\n"
        "from salus.deidentify.key import Key\n"
        "deidentify_images(Path('in'), Path('out'), key=Key(bytes(16)), options=DicomOptions())\n"
    )
    asked = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert "SAL-112" in asked.stderr
    assert "pip install 'salus[dicom]'" in asked.stderr
