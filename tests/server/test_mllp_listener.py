"""The real listener as a process: killed at any moment it loses nothing that it acknowledged, keeps nothing twice."""

from __future__ import annotations

import asyncio
import threading

import pytest

from benchmarks.mllp_sender import journal_of, kill_trials, result_message, send, start_listener

TRIALS = 20
SEED = 20261123


def test_twenty_times_killed_nothing_is_lost_and_nothing_kept_twice(tmp_path):
    """What was acknowledged before the kill is in the journal; what was not is sent again and kept once."""
    found = kill_trials(tmp_path / "messages", trials=TRIALS, seed=SEED)
    assert (found.sent, found.lost, found.twice) == (300 * TRIALS, 0, 0)


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
    sent = asyncio.run(send(listener.port, [result_message(number) for number in range(2000)], ahead=2000))
    ending.join()
    assert listener.child.wait(30) == 0
    assert sent.acknowledged <= set(journal_of(tmp_path / "messages"))


def test_python_hl7_as_the_sender_is_understood(tmp_path):
    """A client that nobody here wrote: letters that are not ASCII, several messages on one connection."""
    hl7_client = pytest.importorskip(
        "hl7.client", reason="the sender of another project is not installed: pip install hl7"
    )
    listener = start_listener(tmp_path / "messages")
    with hl7_client.MLLPClient("127.0.0.1", listener.port) as client:
        for number in (1, 2, 3):
            answer = client.send_message(
                result_message(number)
                .replace("Potassium", "Калий")
                .replace("2.5.1\r", "2.5.1||||||UNICODE UTF-8\r")
            )
            assert f"MSA|AA|{number}".encode() in answer
    listener.stop()
    assert list(journal_of(tmp_path / "messages")) == ["1", "2", "3"]
