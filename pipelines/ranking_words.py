"""What a ranking does not show by itself, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from graftwork.reporting.leads import paired_words, unpaired_words
from graftwork.selecting.expected import EXPECTED
from graftwork.selecting.luck import paired_lead
from graftwork.storage.artifacts import Artifacts
from pipelines.ranking import Job, Ranking, Scores


def sentences(ranking: Ranking) -> list[str]:
    """How it was chosen, on equal data or not, whose test was looked at, and what is luck."""
    ranked, finished = ranking.ranked, [job for job in ranking.jobs if job.finished]
    tested = [job for job in finished if job.test]
    unranked = len(finished) - len(ranked)
    found = [_chosen(ranked)] if ranked else []
    if unranked and ranked:
        found.append(f"{_jobs(unranked)} without a selection score, listed after, not ranked.")
    found.append(_looked_at(ranked))
    # What is expected of new pictures has no answers that could be right or wrong one by one.
    counted = not any(EXPECTED in job.selection for job in ranked)
    held_out = [Artifacts.at(job.folder).held_out for job in ranked] if counted else []
    predictions = [Artifacts.at(job.folder).predictions for job in tested]
    found.append(_luck("selection score", ranked, [job.selection for job in ranked], held_out))
    found.append(_luck("test score", tested, [job.test for job in tested], predictions))
    return [sentence for sentence in found if sentence]


def _chosen(ranked: Sequence[Job]) -> str:
    ways = Counter((job.method or "unknown", job.held_out, job.fitted) for job in ranked)
    (method, held_out, fitted), _ = ways.most_common(1)[0]
    if len(ways) == 1:
        return (
            f"Chosen on {_count(held_out)} held-out pictures ({method}); what is kept was fitted "
            f"on {_count(fitted)}."
        )
    words = "; ".join(
        f"{_jobs(count)} {method}, {_count(held_out)} held out, fitted on {_count(fitted)}"
        for (method, held_out, fitted), count in ways.items()
    )
    return (
        f"Compared on unequal data ({words}): part of a difference in score may come from that "
        "alone."
    )


def _looked_at(ranked: Sequence[Job]) -> str:
    looked = [job for job in ranked if job.test]
    if len(looked) == len(ranked):
        return "Test scores stand beside and sort nothing." if ranked else ""
    if not looked:
        return (
            "No test was looked at: the sweep was cut short. To do so for one job: "
            "python -m pipelines.evaluate --root FOLDER_OF_THE_JOB --shared ."
        )
    return (
        "The test was looked at for the first alone (evaluation.test_in_sweeps=winner); its wall "
        "clock includes that."
    )


def _luck(what: str, jobs: Sequence[Job], scores: Sequence[Scores], files: Sequence[Path]) -> str:
    found = [score["top1"] for score in scores if "top1" in score]
    if len(found) < 2:
        return ""
    lead = _paired(files) if len(found) == len(jobs) == len(files) else None
    if lead is not None:
        return paired_words(what, len(found), lead)
    ends = [(score.get("low"), score.get("high")) for score in found]
    return unpaired_words(what, ends, jobs[0].confidence, is_share=True)


def _paired(files: Sequence[Path]) -> float | None:
    """None where the files are not there, or are not what this project writes."""
    try:
        return paired_lead(files)
    except (OSError, ValueError, KeyError):
        return None


def _jobs(count: int) -> str:
    return f"{count} job" if count == 1 else f"{count} jobs"


def _count(value: int | None) -> str:
    return "an unknown number of" if value is None else f"{value:,}".replace(",", "\u202f")
