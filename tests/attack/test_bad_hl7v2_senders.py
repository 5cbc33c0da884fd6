"""Whatever a sender does, the listener answers or lets go, keeps what it took, and says nothing of what it holds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest

from benchmarks.mllp_sender import journal_of
from salus.intake.hl7v2_journal import Journal
from salus.intake.mllp_listener import Limits, Listener

START, END = b"\x0b", b"\x1c\r"
QUICK = Limits(largest=20_000, silence=0.3, frame=1.0, reply=1.0, linger=0.1, connections=3)


def oru(control="1", *, head="|^~\\&|", rest="", pid="PID|1||0042^^^HOSP^MR||Canary^Carla", value="987.65"):
    field = head[0]
    parts = ["LAB", "HOSP", "SALUS", "HOSP", "20260301091500+0000", "", "ORU^R01", control, "P", "2.5.1"]
    return (
        f"MSH{head}" + field.join(parts) + rest + f"\r{pid}\rOBX|1|NM|2823-3^K^LN||{value}|mmol/L|||||F\r"
    ).encode()


def framed(*messages: bytes) -> bytes:
    return b"".join(START + message + END for message in messages)


async def talk(
    port: int, pieces: Sequence[bytes], *, answers: int, pause: float = 0.0, leave: bool = False
) -> list[str]:
    """Send pieces, take so many answers or what comes until the listener closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        if pause:
            await asyncio.sleep(pause)
    found = []
    if leave:
        writer.close()
        return found
    try:
        for _ in range(answers):
            found.append((await asyncio.wait_for(reader.readuntil(END), 5))[1:-2].decode("latin-1"))
        if not answers:
            assert await asyncio.wait_for(reader.read(), 5) == b""
    except asyncio.IncompleteReadError:
        pass
    writer.close()
    return found


@pytest.fixture
def run(tmp_path):
    """Run a listener, and beside it what a test does with its port."""

    def runner(conversation, *, limits=QUICK, journal=None):
        async def all_of_it():
            kept = journal or Journal(tmp_path)
            kept.open()
            listener = Listener(kept, limits=limits)
            _, port = await listener.start("127.0.0.1", 0)
            serving = asyncio.create_task(listener.serve())
            result = await conversation(port)
            await asyncio.sleep(0.05)
            listener.stop()
            await serving
            return result, dict(listener.counts)

        return asyncio.run(all_of_it())

    return runner


def codes(answers: Sequence[str]) -> list[str]:
    return [
        segment.split("|")[1]
        for answer in answers
        for segment in answer.split("\r")
        if segment.startswith("MSA")
    ]


def letters(folder) -> list[tuple[str, str]]:
    lines = (folder / "dead" / "reasons.jsonl").read_text().splitlines()
    return [(told["field"], told["reason"]) for told in map(json.loads, lines)]


@pytest.mark.parametrize(
    ("raw", "code", "letter"),
    [
        (b"PID|1||0042\rOBX|1|NM|K||987.65\r", "AR", ("MSH", "it does not begin with MSH")),
        (b"", "AR", ("MSH", "it does not begin with MSH")),
        (oru(head="||||"), "AR", ("MSH-2", "MSH-1 and MSH-2 name no delimiters that can be told apart")),
        (oru(control=""), "AR", ("MSH-10", "a field that every message needs is empty")),
        (oru().replace(b"ORU^R01", b""), "AR", ("MSH-9", "a field that every message needs is empty")),
        (oru().replace(b"|2.5.1", b"|3.0"), "AR", ("MSH-12", "the version is not 2.x")),
        (oru(pid="PID|1||"), "AE", ("PID-3", "no field names the patient by a number")),
        (
            oru().replace(b"Canary", "Cañary".encode("latin-1")),
            "AE",
            ("MSH-18", "its bytes are not in the character set of MSH-18 (where it names none: UTF-8)"),
        ),
        (b"MSH" + bytes(set(range(256)) - {0x0B, 0x1C}) * 4, "AE", None),
    ],
)
def test_what_cannot_be_read_is_refused_and_kept_aside_with_the_reason(run, tmp_path, raw, code, letter):
    """A good message after it is taken: nothing is blocked."""
    answers, _ = run(lambda port: talk(port, [framed(raw, oru("good"))], answers=2))
    assert codes(answers) == [code, "AA"]
    assert list(journal_of(tmp_path)) == ["good"]
    assert letter is None or letters(tmp_path) == [letter]
    assert not any(
        canary in str(letters(tmp_path)) + "".join(answers) for canary in ("987.65", "Canary", "0042")
    )


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("", ["AA"]),
        ("|||AL|NE", ["CA"]),
        ("|||NE|AL", ["AA"]),
        ("|||AL|AL", ["CA", "AA"]),
        ("|||SU|ER", ["CA"]),
        ("|||ER|NE", []),
    ],
)
def test_enhanced_mode_gets_what_it_asks_for(run, rest, expected):
    """The second message, in original mode, shows that nothing more came for the first."""
    answers, _ = run(
        lambda port: talk(port, [framed(oru("1", rest=rest), oru("2"))], answers=len(expected) + 1)
    )
    assert codes(answers) == [*expected, "AA"]


def test_enhanced_mode_says_errors_as_such(run):
    bad = oru("1", rest="|||ER|ER", pid="PID|1||")
    answers, _ = run(lambda port: talk(port, [framed(bad)], answers=2))
    assert codes(answers) == ["CE", "AE"]
    assert "ERR||PID^1^3|101^Required field missing^HL70357|E" in answers[0]


def test_an_answer_is_in_the_sender_s_own_delimiters_and_names_both_ends(run):
    raw = b"MSH#*~!@#LAB#HOSP#SALUS#HUB#2026##ORU*R01#7#P#2.4\rPID#1##0042***HOSP*MR\r"
    (answer,), _ = run(lambda port: talk(port, [framed(raw)], answers=1))
    assert answer.startswith("MSH#*~!@#SALUS#HUB#LAB#HOSP#")
    assert "\rMSA#AA#7\r" in answer


def test_messages_come_byte_by_byte_or_many_at_once(run, tmp_path):
    async def both(port):
        slowly = await talk(port, [bytes([one]) for one in framed(oru("slow"))], answers=1)
        return slowly + await talk(port, [framed(*(oru(str(number)) for number in range(50)))], answers=50)

    answers, _ = run(both)
    assert codes(answers) == ["AA"] * 51
    assert list(journal_of(tmp_path)) == ["slow", *map(str, range(50))]


def test_bytes_between_frames_harm_no_message(run, tmp_path):
    """Line ends between frames are nothing; other bytes are a dead letter, which nobody is told of."""
    answers, _ = run(
        lambda port: talk(port, [b"\r\n\r\n" + framed(oru("1")) + b"HELO\r\n" + framed(oru("2"))], answers=2)
    )
    assert codes(answers) == ["AA", "AA"]
    assert letters(tmp_path) == [("MSH", "bytes outside a frame")]


def test_a_frame_that_begins_again_gives_up_the_first(run, tmp_path):
    """The sender died in the middle and its successor used the same connection."""
    answers, _ = run(lambda port: talk(port, [START + oru("1")[:40] + framed(oru("2"))], answers=1))
    assert codes(answers) == ["AA"]
    assert list(journal_of(tmp_path)) == ["2"]
    assert letters(tmp_path) == [("MSH", "the frame is cut short: its end is missing")]


def test_a_connection_cut_in_the_middle_leaves_nothing_behind_but_a_dead_letter(run, tmp_path):
    run(lambda port: talk(port, [START + oru("1")[:60]], answers=0, leave=True))
    assert list(journal_of(tmp_path)) == []
    assert letters(tmp_path) == [("MSH", "the frame is cut short: its end is missing")]


def test_a_missing_carriage_return_after_the_end_is_forgiven(run):
    answers, _ = run(lambda port: talk(port, [START + oru("1") + END[:1]], answers=1))
    assert codes(answers) == ["AA"]


@pytest.mark.parametrize("size", [20_001, 2_000_000])
def test_a_message_too_large_is_refused_and_the_connection_closed(run, tmp_path, size):
    """Also one that never ends: no more of it is held than is allowed."""
    answers, _ = run(lambda port: talk(port, [START + oru("big") + b"x" * size], answers=2))
    assert codes(answers) == ["AR"]
    assert letters(tmp_path) == [("MSH", "it is larger than a message may be")]


def test_a_sender_silent_in_the_middle_of_a_frame_is_let_go(run, tmp_path):
    answers, _ = run(lambda port: talk(port, [START + oru("1")[:60]], answers=2))
    assert codes(answers) == ["AR"]
    assert letters(tmp_path) == [("MSH", "the frame did not end in time")]


def test_a_sender_that_drips_is_let_go_when_its_frame_takes_too_long(run):
    """A byte every 0.1 s is never silent for 0.3 s, but the frame may take one second in all."""
    drops = [bytes([one]) for one in (START + oru("1"))[:25]]
    answers, _ = run(lambda port: talk(port, drops, answers=2, pause=0.1))
    assert codes(answers) == ["AR"]


def test_a_silent_connection_blocks_nobody_and_too_many_are_turned_away(run):
    """Three may be open; the fourth is closed at once. Between frames a sender may be silent."""

    async def crowd(port):
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        served = await talk(port, [framed(oru("1"))], answers=1)
        await asyncio.sleep(0.2)
        idle.append(await asyncio.open_connection("127.0.0.1", port))
        await asyncio.sleep(0.5)
        turned_away = await talk(port, [b""], answers=0)
        for _, writer in idle:
            writer.close()
        return codes(served), turned_away

    found, counts = run(crowd)
    assert found == (["AA"], [])
    assert counts["connections turned away"] == 1


def test_the_same_message_again_is_acknowledged_and_kept_once_but_not_another_with_its_number(run, tmp_path):
    """Again with a later MSH-7 it is the same; with another value it is not, though MSH-10 is."""
    again = oru("1").replace(b"0915", b"0916")
    other = oru("1", value="4.1")
    answers, counts = run(lambda port: talk(port, [framed(oru("1"), again, other)], answers=3))
    assert codes(answers) == ["AA", "AA", "AA"]
    assert list(journal_of(tmp_path)) == ["1", "1"]
    assert (counts["stored"], counts["again"]) == (2, 1)


def test_an_acknowledgement_is_not_acknowledged(run):
    ack = b"MSH|^~\\&|A|B|C|D|2026||ACK^R01|9|P|2.5.1\rMSA|AA|1\r"
    answers, counts = run(lambda port: talk(port, [framed(ack, oru("1"))], answers=1))
    assert codes(answers) == ["AA"] and "|1\r" in answers[0]
    assert counts["acknowledgements, which nobody answers"] == 1


class Full(Journal):
    """A journal on a disk that is full for a while."""

    full = True

    def store(self, messages, *, at):
        if self.full:
            raise OSError(28, "No space left on device")
        super().store(messages, at=at)


def test_what_cannot_be_stored_is_not_acknowledged_and_is_taken_later(run, tmp_path):
    journal = Full(tmp_path)

    async def twice(port):
        first = await talk(port, [framed(oru("1"))], answers=1)
        journal.full = False
        return first + await talk(port, [framed(oru("1"))], answers=1)

    answers, _ = run(twice, journal=journal)
    assert codes(answers) == ["AE", "AA"]
    assert list(journal_of(tmp_path)) == ["1"]


@pytest.mark.parametrize("tail", [b"\x0bMSH|^~\\&|LAB", b"\x00" * 4096, b"\x0bMSH|^~\\&|L\x1c"])
def test_what_a_power_cut_left_half_written_is_cut_off_and_the_rest_is_there(tmp_path, tail):
    journal = Journal(tmp_path)
    journal.open()
    journal.close()
    path = tmp_path / "journal" / "000001.mllp"
    path.write_bytes(framed(oru("1"), oru("2")) + tail)
    again = Journal(tmp_path)
    found = again.open()
    again.close()
    assert (found.messages, found.cut) == (2, len(tail))
    assert path.read_bytes() == framed(oru("1"), oru("2"))
