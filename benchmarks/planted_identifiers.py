"""Records with all 18 identifiers of 45 CFR 164.514(b)(2) planted wherever a sender could put them."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

CANARIES: dict[str, tuple[str, ...]] = {
    "A names": ("Quillfeather", "Zebulonia", "Ottoline", "Drquince"),
    "B places": ("Zephyrgasse", "Quokkaville", "Umbershire", "03677", "41.40338"),
    "C dates": ("1931-07-19", "19310719", "2019-03-17", "20190317", "2019-03", "201903", "97.25"),
    "D phone": ("555-0142-777",),
    "E fax": ("555-0199-888",),
    "F e-mail": ("zq@canary.example",),
    "G social security": ("078-05-1120", "078051120"),
    "H record": ("MRN9917331",),
    "I health plan": ("HPB44-1771",),
    "J account": ("ACC-662-91",),
    "K licence": ("LIC-D881-22",),
    "L vehicle": ("WVWZZZ1JZXW000377",),
    "M device": ("SN-PUMP-5519",),
    "N URL": ("https://canary.example/zq",),
    "O IP address": ("203.0.113.77",),
    "P biometric": ("RklOR0VSUFJJTlQ",),
    "Q face": ("RkFDRVBIT1RP",),
    "R other": ("ZX81-QQ-UNIQUE",),
}
"""What to look for afterwards, by the letter of the rule."""
ALL = " ".join(one for group in CANARIES.values() for one in group)
ID, BORN, DAY = "MRN9917331", "1931-07-19", "2019-03-17"


DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


def fhir_resources() -> list[dict[str, object]]:
    """One patient with two results and a stay; everything that is free holds every canary."""
    text = {"status": "generated", "div": f"<div xmlns='http://www.w3.org/1999/xhtml'>{ALL}</div>"}
    strange = [{"url": "https://canary.example/zq", "valueString": ALL}]
    meta = {
        "versionId": "MRN9917331",
        "lastUpdated": f"{DAY}T08:00:00Z",
        "source": "https://canary.example/zq",
        "profile": ["https://canary.example/zq"],
        "extension": strange,
    }
    code = {
        "coding": [{"system": "http://loinc.org", "code": "2823-3", "display": ALL, "extension": strange}],
        "text": ALL,
    }
    to_patient = {"reference": f"Patient/{ID}", "display": ALL, "identifier": {"value": ID}}
    free = {
        "meta": meta,
        "text": text,
        "extension": strange,
        "language": "en",
        "implicitRules": "https://canary.example/zq",
    }
    race = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"
    coding = {"system": "urn:oid:2.16.840.1.113883.6.238", "code": "2106-3", "display": ALL}
    patient = {
        "resourceType": "Patient",
        "id": ID,
        **free,
        "extension": [
            *strange,
            {
                "url": race,
                "extension": [
                    {"url": "ombCategory", "valueCoding": coding},
                    {"url": "text", "valueString": ALL},
                ],
            },
        ],
        "identifier": [{"system": "urn:mrn", "value": one} for one in ALL.split()],
        "name": [{"family": "Quillfeather", "given": ["Zebulonia", "Ottoline"], "text": ALL}],
        "telecom": [
            {"system": "phone", "value": "555-0142-777"},
            {"system": "email", "value": "zq@canary.example"},
        ],
        "gender": "female",
        "birthDate": BORN,
        "_birthDate": {
            "extension": [{"url": "https://canary.example/zq", "valueDateTime": f"{BORN}T03:04:05Z"}]
        },
        "address": [
            {
                "line": ["Zephyrgasse 17"],
                "city": "Quokkaville",
                "district": "Umbershire",
                "state": "NH",
                "postalCode": "03677",
                "country": "US",
                "text": ALL,
                "extension": [
                    {"url": "http://hl7.org/fhir/StructureDefinition/geolocation", "valueString": "41.40338"}
                ],
            }
        ],
        "photo": [{"contentType": "image/png", "data": "RkFDRVBIT1RP", "title": ALL}],
        "contact": [{"name": {"text": ALL}, "telecom": [{"value": "555-0199-888"}]}],
        "contained": [{"resourceType": "Organization", "id": ID, "name": ALL}],
        "generalPractitioner": [{"reference": f"Practitioner/{ID}", "display": "Drquince"}],
        "Quillfeather": ALL,
        "maritalStatus": {"text": ALL},
    }
    stay = {
        "resourceType": "Encounter",
        "id": f"{ID}-stay",
        **free,
        "status": "finished",
        "class": {"code": "IMP"},
        "subject": to_patient,
        "period": {"start": f"{DAY}T08:00:00+01:00", "end": "2019-03-24T09:30:00+01:00"},
        "location": [{"location": {"display": ALL}}],
        "participant": [{"individual": {"display": "Drquince"}}],
    }
    about = {
        "subject": to_patient,
        "encounter": {"reference": f"Encounter/{ID}-stay"},
        "code": code,
        "status": "final",
    }
    result = {
        "resourceType": "Observation",
        "id": f"{ID}-k1",
        **free,
        **about,
        "effectiveDateTime": f"{DAY}T08:00:00+01:00",
        "issued": f"{DAY}T09:10:00+01:00",
        "valueQuantity": {
            "value": 5.9,
            "unit": "mmol/L",
            "system": "http://unitsofmeasure.org",
            "code": "mmol/L",
        },
        "note": [{"text": ALL, "authorString": ALL, "time": DAY}],
        "device": {"reference": "Device/SN-PUMP-5519", "display": ALL},
        "performer": [{"display": "Drquince"}],
        "component": [{"code": code, "valueString": ALL}, {"code": code, "valueDateTime": DAY}],
    }
    age = {
        "resourceType": "Observation",
        "id": f"{ID}-age",
        **free,
        **about,
        "effectivePeriod": {"start": DAY},
        "valueQuantity": {"value": 97.25, "unit": "years", "code": "a"},
    }
    device = {
        "resourceType": "Device",
        "id": "SN-PUMP-5519",
        **free,
        "serialNumber": "SN-PUMP-5519",
        "patient": to_patient,
    }
    media = {"resourceType": "Media", "id": ID, "status": "completed", "content": {"data": "RklOR0VSUFJJTlQ"}}
    return [patient, stay, result, age, device, media]


def write_fhir(folder: Path) -> Path:
    """The same as NDJSON, as packed NDJSON and as a Bundle, in files called as the patient is."""
    folder.mkdir()
    resources = fhir_resources()
    lines = "\n".join(json.dumps(one) for one in resources) + "\n"
    (folder / "Quillfeather_MRN9917331.ndjson").write_text(lines)
    with gzip.open(folder / "Zebulonia.ndjson.gz", "wb") as packed:
        packed.write(lines.encode())
    entries = [
        {
            "fullUrl": f"https://canary.example/zq/{one['resourceType']}/{one['id']}",
            "link": [{"relation": "self", "url": "https://canary.example/zq"}],
            "resource": one,
            "request": {
                "method": "PUT",
                "url": f"{one['resourceType']}/{one['id']}",
                "ifNoneExist": f"identifier={ID}",
            },
            "search": {"mode": "match"},
            "response": {"location": "https://canary.example/zq"},
        }
        for one in resources
    ]
    bundle = {
        "resourceType": "Bundle",
        "id": ID,
        "type": "batch",
        "timestamp": f"{DAY}T08:00:00Z",
        "identifier": {"value": ID},
        "entry": entries,
        "signature": {"data": "RklOR0VSUFJJTlQ"},
    }
    (folder / "Ottoline.json").write_text(json.dumps(bundle))
    return folder


def write_hl7v2(folder: Path) -> Path:
    """One message of results with everything planted, and one for a stay."""
    folder.mkdir()
    pid = [""] * 40
    pid[0], pid[1], pid[2] = "PID", "1", "ACC-662-91"
    pid[3] = f"{ID}^^^Quokkaville^MR~078-05-1120^^^USSSA^SS~HPB44-1771^^^HPB44-1771^HC"
    pid[5], pid[6], pid[7], pid[8] = "Quillfeather^Zebulonia^Ottoline", "Ottoline^X", "19310719030405", "F"
    pid[9], pid[11], pid[12] = (
        "Ottoline",
        "Zephyrgasse 17^Flat 2^Quokkaville^NH^03677^US^H^^Umbershire",
        "Umbershire",
    )
    pid[13], pid[14] = "555-0142-777^PRN^PH^zq@canary.example", "555-0199-888"
    pid[18], pid[19], pid[20], pid[23] = "ACC-662-91", "078051120", "LIC-D881-22^NH", "Quokkaville"
    visit = [""] * 46
    visit[:4], visit[7], visit[19] = (
        ["PV1", "1", "I", "Quokkaville^WVWZZZ1JZXW000377"],
        "Drquince^A",
        "ACC-662-91^^^A^VN",
    )
    visit[44:] = ["20190317080000", "20190324093000"]
    one = [
        f"MSH|^~\\&|Drquince|Quokkaville|X|203.0.113.77|20190317080000||ORU^R01^ORU_R01|{ID}|P|2.5.1|||||||||https://canary.example/zq",
        "EVN|R01|20190317080000|||Drquince|20190317080000|Quokkaville",
        "|".join(pid),
        f"NK1|1|Ottoline^Quillfeather||Zephyrgasse|555-0199-888|{ALL}",
        "|".join(visit),
        f"OBR|1|ZX81-QQ-UNIQUE|SN-PUMP-5519|2823-3^{ALL}^LN|||20190317080000|||Drquince|||{ALL}|||Drquince",
        f"OBX|1|NM|2823-3^{ALL}^LN||5.9|mmol/L^{ALL}^UCUM|3.5-5.1|H|||F|||20190317080000|Quokkaville|Drquince",
        f"OBX|2|ST|X^^L||{ALL}||||||F",
        f"OBX|3|TX|X^^L||{ALL}~{ALL}||||||F",
        "OBX|4|DT|X^^L||20190317||||||F",
        "OBX|5|ED|X^^L||^IM^PNG^Base64^RkFDRVBIT1RP||||||F",
        f"OBX|6|CWE|X^^L||{ALL}^{ALL}||||||F",
        "OBX|7|NM|30525-0^Age^LN||97.25|a^years^UCUM|||||F",
        f"OBX|8|{ID}|X^^L||{ALL}||||||F",
        "OBX|9|RP|X^^L||https://canary.example/zq||||||F",
        f"NTE|1|L|{ALL}",
        f"IN1|1|HPB44-1771|HPB44-1771|{ALL}",
        f"GT1|1|{ALL}",
        f"ZPI|1|{ALL}|RklOR0VSUFJJTlQ|WVWZZZ1JZXW000377",
        f"{ALL}",
    ]
    stay = [
        "MSH|^~\\&|A|B|C|D|20190317080000||ADT^A40|2|P|2.5.1",
        "|".join(pid),
        "MRG|078-05-1120^^^USSSA^SS~MRN9917331^^^Quokkaville^MR||ACC-662-91||||Quillfeather^Zebulonia",
    ]
    (folder / "Quillfeather.hl7").write_bytes(("\r".join(one) + "\r" + "\r".join(stay) + "\r").encode())
    return folder


def write_omop(folder: Path) -> Path:
    """Tables in which every text holds every canary; the person's id is their record number's digits."""
    folder.mkdir()
    quoted = f'"{ALL}"'
    tables = {
        "PERSON": (
            "person_id,gender_concept_id,year_of_birth,month_of_birth,day_of_birth,birth_datetime,race_concept_id,"
            "ethnicity_concept_id,location_id,provider_id,care_site_id,person_source_value,gender_source_value,Quillfeather",
            "9917331,8532,1931,7,19,1931-07-19 03:04:05,8527,38003564,9917331,9917331,9917331,"
            f"{quoted},{quoted},{quoted}",
        ),
        "location": (
            "location_id,address_1,address_2,city,state,zip,county,location_source_value,latitude,longitude",
            f"9917331,Zephyrgasse 17,{quoted},Quokkaville,NH,03677,Umbershire,{quoted},41.40338,41.40338",
        ),
        "visit_occurrence": (
            "visit_occurrence_id,person_id,visit_concept_id,visit_start_date,visit_start_datetime,visit_end_date,"
            "visit_source_value,provider_id",
            f"9917331,9917331,9201,2019-03-17,2019-03-17 08:00:00,2019-03-24,{quoted},9917331",
        ),
        "measurement": (
            "measurement_id,person_id,measurement_concept_id,measurement_date,measurement_time,value_as_number,"
            "unit_concept_id,measurement_source_value,value_source_value,visit_occurrence_id",
            f"1,9917331,3023103,2019-03-17,08:00:00,5.9,8753,{quoted},{quoted},9917331",
            f"2,9917331,3022304,2019-03-17,08:00:00,97.25,9448,{quoted},{quoted},9917331",
        ),
        "observation": (
            "observation_id,person_id,observation_concept_id,observation_date,value_as_string,observation_source_value",
            f"1,9917331,4,2019-03-17,{quoted},{quoted}",
        ),
        "note": (
            "note_id,person_id,note_date,note_title,note_text",
            f"1,9917331,2019-03-17,{quoted},{quoted}",
        ),
        "device_exposure": (
            "device_exposure_id,person_id,device_concept_id,device_exposure_start_date,unique_device_id,production_id",
            "1,9917331,5,2019-03-17,SN-PUMP-5519,SN-PUMP-5519",
        ),
        "provider": ("provider_id,provider_name,npi", "9917331,Drquince,LIC-D881-22"),
        "note_nlp": ("note_nlp_id,note_id,snippet", f"1,1,{quoted}"),
        "Quillfeather": ("a", quoted),
    }
    for name, lines in tables.items():
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return folder


CSV_PART = """
csv:
  patients:
    patient: mrn
    columns:
      mrn: pseudonym - whose row it is
      born: birth_date - the year
      age: age - 90+ above 89
      zip: postcode - three digits
      sex: keep - none of the identifiers
      note: text - by the rule
  stays:
    patient: mrn
    columns:
      mrn: pseudonym - whose row it is
      stay: pseudonym - which stay
      admitted: date - by the rule
      discharged: date - by the rule
      potassium: keep - a value
"""
"""What a hospital adds to a shipped policy for its own files."""


def write_csv(folder: Path) -> Path:
    """Two tables with everything planted, and a file that nobody named."""
    folder.mkdir()
    quoted = f'"{ALL}"'
    (folder / "patients.csv").write_text(
        "mrn,name,born,age,zip,sex,phone,fax,email,ssn,plan,account,licence,car,device,url,ip,finger,face,other,note\n"
        f"{ID},Quillfeather,1931-07-19,97.25,03677,F,555-0142-777,555-0199-888,zq@canary.example,078-05-1120,"
        "HPB44-1771,ACC-662-91,LIC-D881-22,WVWZZZ1JZXW000377,SN-PUMP-5519,https://canary.example/zq,203.0.113.77,"
        f"RklOR0VSUFJJTlQ,RkFDRVBIT1RP,ZX81-QQ-UNIQUE,{quoted}\n"
    )
    (folder / "stays.csv").write_text(
        "mrn,stay,admitted,discharged,potassium,ward\n"
        f"{ID},ACC-662-91,2019-03-17T08:00:00,2019-03-24T09:30:00,5.9,{quoted}\n"
    )
    (folder / "Quillfeather.csv").write_text(f"a\n{quoted}\n")
    return folder


def whole(folder: Path) -> str:
    """The bytes and names of all files below a folder as one text."""
    texts = []
    for path in folder.rglob("*"):
        texts.append(path.relative_to(folder).as_posix())
        if path.is_file():
            raw = path.read_bytes()
            texts.append((gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8", "replace"))
    return "\n".join(texts)


def survivors(folder: Path, *also: str) -> dict[str, list[str]]:
    """Which canaries stand in any file's bytes or name below a folder, or in what was printed.

    Not in a SHA-256, where five digits of a postcode stand once in a while by chance.
    """
    text = DIGEST.sub("", "\n".join((whole(folder), *also)))
    found = {kind: [one for one in group if one in text] for kind, group in CANARIES.items()}
    return {kind: group for kind, group in found.items() if group}
