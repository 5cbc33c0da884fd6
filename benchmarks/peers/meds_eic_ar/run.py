"""Train `micro` by its own commands for the budget, then measure: held-out likelihood, training and generation speed.

Writes times.json and measured.json; likelihood is in nats per token of its own vocabulary, and per stay and per
charted fact (every token but the timeline's marks and delays), which another model can be compared in.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import torch
from MEDS_EIC_AR.training.module import MEICARModule

from benchmarks.peers.contest import Asked, Clock, asked, processor_seconds

BATCH, WINDOW = 16, 256
PROBED = (4, 24)
"""Steps that are timed to know how many the budget allows."""
VALIDATIONS = 5
FEWEST_STAYS = "10"
"""Its own default drops codes of fewer than 1,000 stays, and with them facts that other models must explain."""
STAYS = 500
"""Held-out stays whose likelihood is measured: the first of the split."""
PROMPT, TOGETHER = 64, 64
NOT_FACTS = ("TIMELINE//", "MEDS_BIRTH")


def main() -> None:
    """Answer one request."""
    request, clock = asked(kinds=("icu",)), Clock()
    torch.set_num_threads(1)
    data = request.folder / "tensors"
    with clock.phase("prepare"):
        command(
            "MEICAR_process_data",
            f"input_dir={request.train.resolve()}",
            f"intermediate_dir={request.folder / 'intermediate'}",
            f"output_dir={data}",
        )
    with clock.phase("probe"):
        once = step_seconds(request, data)
    planned = max(2 * VALIDATIONS, int(request.budget_seconds / once))
    with clock.phase("fit"):
        pretrain(request, data, steps=planned, name="model")
    last = request.folder / "model" / "checkpoints" / "last.ckpt"
    steps = torch.load(last, map_location="cpu", weights_only=False)["global_step"]
    clock.notes |= {"planned_steps": planned, "steps": steps, "tokens_seen_at_most": steps * BATCH * WINDOW}
    model = MEICARModule.load_from_checkpoint(request.folder / "model" / "best_model.ckpt").model.eval()
    measured = likelihood(model, data) | generation(model, data)
    fit = clock.phases["fit"]["cpu_seconds"]
    measured["train_tokens_per_cpu_second"] = steps * BATCH * WINDOW / fit
    measured["train_stays_per_cpu_second"] = steps * BATCH * WINDOW / measured["tokens_per_stay"] / fit
    (request.folder / "measured.json").write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    clock.write(request.folder)


def command(name: str, *words: str) -> None:
    """Run one of its own commands from its environment."""
    place = Path(sys.executable).parent
    about = os.environ | {
        "PATH": f"{place}{os.pathsep}{os.environ['PATH']}",
        "MIN_SUBJECTS_PER_CODE": FEWEST_STAYS,
    }
    subprocess.run([place / name, *words], env=about, check=True)


def pretrain(request: Asked, data: Path, *, steps: int, name: str) -> None:
    """Pretrain for so many steps, its learning rate planned for as many; without a validation it keeps no model."""
    command(
        "MEICAR_pretrain",
        "lightning_module=micro",
        f"datamodule.config.tensorized_cohort_dir={data}",
        f"output_dir={request.folder / name}",
        f"datamodule.batch_size={BATCH}",
        "datamodule.num_workers=0",
        f"max_seq_len={WINDOW}",
        f"seed={request.seed}",
        "do_overwrite=true",
        "trainer.precision=bf16-mixed",
        "trainer.accelerator=cpu",
        f"trainer.max_steps={steps}",
        f"trainer.val_check_interval={max(1, steps // VALIDATIONS)}",
        "trainer.check_val_every_n_epoch=null",
        "trainer.limit_val_batches=10",
    )


def step_seconds(request: Asked, data: Path) -> float:
    """Processor seconds of a step: a short fit from a shorter one, so that starting does not count."""
    took = []
    for steps in PROBED:
        began = processor_seconds()
        pretrain(request, data, steps=steps, name="probe")
        took.append(processor_seconds() - began)
    return max((took[1] - took[0]) / (PROBED[1] - PROBED[0]), 1e-3)


def stays(data: Path) -> Iterator[torch.Tensor]:
    """The tokens of each held-out stay, first to last."""
    codes = pl.read_parquet(data / "metadata" / "codes.parquet").select("code", "code/vocab_index")
    numbered = dict(codes.iter_rows())
    for file in sorted((data / "tokenization" / "event_seqs" / "held_out").glob("*.parquet")):
        for moments in pl.read_parquet(file)["code"]:
            cells = [cell for moment in moments for cell in moment]
            yield torch.tensor([cell if isinstance(cell, int) else numbered[cell] for cell in cells])


def likelihood(model: torch.nn.Module, data: Path) -> dict[str, float]:
    """Nats of held-out stays: windows overlap by half, so each token has half a window before it, and counts once."""
    codes = pl.read_parquet(data / "metadata" / "codes.parquet").select("code", "code/vocab_index")
    marks = {number for code, number in codes.iter_rows() if str(code).startswith(NOT_FACTS)}
    nats, tokens, facts, number = 0.0, 0, 0, 0
    for number, stay in enumerate(stays(data), start=1):
        if number > STAYS:
            break
        nats += stay_nats(model, stay)
        tokens += len(stay) - 1
        facts += sum(token not in marks for token in stay[1:].tolist())
    number = min(number, STAYS)
    return {
        "stays": number,
        "nats_per_token": nats / tokens,
        "nats_per_stay": nats / number,
        "nats_per_fact": nats / facts,
        "tokens_per_stay": tokens / number,
        "facts_per_stay": facts / number,
    }


@torch.inference_mode()
def stay_nats(model: torch.nn.Module, stay: torch.Tensor) -> float:
    """Nats of all tokens of a stay but the first."""
    total, known = 0.0, 1
    while known < len(stay):
        start = max(0, min(known - WINDOW // 2, len(stay) - WINDOW)) if known > 1 else 0
        window = stay[start : start + WINDOW]
        scores = model.HF_model(input_ids=window[None, :-1]).logits[0].float().log_softmax(-1)
        each = -scores.gather(1, window[1:, None])[:, 0]
        total += float(each[known - start - 1 :].sum())
        known = start + len(window)
    return total


def generation(model: torch.nn.Module, data: Path) -> dict[str, float]:
    """New tokens per processor second, as its generation command makes them, after prompts of real stays."""
    long = [stay[:PROMPT] for stay in stays(data) if len(stay) >= PROMPT][:TOGETHER]
    batch = SimpleNamespace(code=torch.stack(long), PAD_INDEX=0, mode="SM")
    began, used = time.perf_counter(), time.process_time()
    made = int((model.generate(batch) != batch.PAD_INDEX).sum())
    spent, wall = time.process_time() - used, time.perf_counter() - began
    return {
        "generated_tokens_per_cpu_second": made / spent,
        "generated_tokens_per_second": made / wall,
    }


if __name__ == "__main__":
    main()
