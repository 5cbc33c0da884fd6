"""The real listener as a process: killed at any moment it loses nothing that it acknowledged, keeps nothing twice."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter

import pytest

from benchmarks.mllp_sender import journal_of, send, start_listener

TRIALS = 20
SEED = 20261123


def oru(number: int) -> str:
    return (
        f"MSH|^~\\&|LAB|HOSP|SALUS|HOSP|20260301091500+0000||ORU^R01|{number}|P|2.5.1\r"
        f"PID|1||{number % 7:04d}^^^HOSP^MR\r"
        f"OBX|1|NM|2823-3^Potassium^LN||{number % 9}.{number % 10}|mmol/L|||||F|||20260301080000+0000\r"
    )


def killing(listener, last):
    """Kill it as soon as so many messages were acknowledged, while others are on their way."""
    return lambda count: listener.kill() if count >= last else None


def test_twenty_times_killed_nothing_is_lost_and_nothing_kept_twice(tmp_path):
    """What was acknowledged before the kill is in the journal; what was not is sent again and kept once."""
    chance = random.Random(SEED)
    folder, acknowledged, number = tmp_path / "messages", set(), 0
    waiting: list[str] = []
    for _ in range(TRIALS):
        listener = start_listener(folder)
        waiting += [oru(number + place) for place in range(300)]
        number += 300
        last = chance.randrange(1, 250)
        sent = asyncio.run(send(listener.port, waiting, heard=killing(listener, last)))
        acknowledged |= sent.acknowledged
        waiting = [message for message in waiting if message.split("|", 10)[9] not in sent.acknowledged]
        assert waiting, "the kill came too late to show anything"
        assert not acknowledged - set(journal_of(folder))
    listener = start_listener(folder)
    sent = asyncio.run(send(listener.port, waiting))
    listener.stop()
    kept = Counter(journal_of(folder))
    assert acknowledged | sent.acknowledged == {str(one) for one in range(number)} == kept.keys()
    assert set(kept.values()) == {1}


def test_two_listeners_do_not_share_a_folder(tmp_path):
    first = start_listener(tmp_path / "messages")
    with pytest.raises(RuntimeError, match="SAL-113"):
        start_listener(tmp_path / "messages")
    first.stop()


def test_asked_to_end_it_answers_what_it_read(tmp_path):
    """All 2,000 are sent without waiting; after SIGTERM what was acknowledged is what is in the journal."""
    listener = start_listener(tmp_path / "messages")
    ending = threading.Timer(0.2, lambda: listener.child.terminate())
    ending.start()
    sent = asyncio.run(send(listener.port, [oru(number) for number in range(2000)], ahead=2000))
    ending.join()
    assert listener.child.wait(30) == 0
    assert sent.acknowledged <= set(journal_of(tmp_path / "messages"))


def test_python_hl7_as_the_sender_is_understood(tmp_path):
    """A client that nobody here wrote: letters that are not ASCII, several messages on one connection."""
    hl7_client = pytest.importorskip("hl7.client")
    listener = start_listener(tmp_path / "messages")
    with hl7_client.MLLPClient("127.0.0.1", listener.port) as client:
        for number in (1, 2, 3):
            answer = client.send_message(
                oru(number).replace("Potassium", "Калий").replace("2.5.1\r", "2.5.1||||||UNICODE UTF-8\r")
            )
            assert f"MSA|AA|{number}".encode() in answer
    listener.stop()
    assert list(journal_of(tmp_path / "messages")) == ["1", "2", "3"]
