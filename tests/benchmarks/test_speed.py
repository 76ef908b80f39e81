"""The benchmark against peers: fair lists, honest arithmetic, tables that say what the records say, resumable runs."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # benchmarks/ stands beside the package

from benchmarks.peers.job import Job, Track
from benchmarks.speed.cache_state import prepare_cache
from benchmarks.speed.goals import COLD, HEAD_ALONE, THE_RACE, findings
from benchmarks.speed.goals import START as HELP
from benchmarks.speed.ratios import accuracy_at, fastest_peer, is_worse, ratio
from benchmarks.speed.report import NOTHING, publish, write_report
from benchmarks.speed.rows import Selection, in_proportion, select
from benchmarks.speed.running import Bench, in_turn, slug
from benchmarks.speed.tables import missing, tables
from benchmarks.speed.works import FULL, MICRO, PROBE, RACE, TIERS, WORKS

Record = dict[str, Any]
MACHINE = {"processor": "a processor", "cores": 2, "memory_gigabytes": 16.0, "system": "a system"}


def record(
    work: str,
    contender: str,
    side: str,
    seconds: float,
    *,
    accuracy: float = 0.8,
    repeat: int = 0,
    points: list[dict[str, float]] | None = None,
    **phases: float,
) -> Record:
    right = round(100 * accuracy)
    return {
        "work": work,
        "contender": contender,
        "side": side,
        "repeat": repeat,
        "machine": MACHINE,
        "before": {"time": "2026-11-30 10:00:00", "load": 0.1},
        "cores_busy_with_other_work": 0.01,
        "seconds": {"import": 1.0, "first_model": seconds / 5, "model": seconds, **phases},
        "points": points or [{"seconds": seconds, "accuracy": accuracy}],
        "accuracy": accuracy,
        "right": "1" * right + "0" * (100 - right),
        "measures": {},
        "rows": {"train": 50, "val": 0, "test": 100},
        "peak_bytes": 10**9,
        "versions": {"torch": "2.13.0"},
        "job": {
            "epochs": 5,
            "batch_size": 32,
            "image_size": 224,
            "max_length": 128,
            "rate": 1e-3,
            "seed": 0,
            "threads": 2,
            "rows": "/a/folder/of/the/machine.csv",
        },
    }


def test_lists_hold_every_class_in_its_share_and_no_input_twice() -> None:
    train = [(f"many {number}", "many") for number in range(90)] + [
        (f"few {number}", "few") for number in range(10)
    ]
    test = [("many 0", "many"), ("unseen", "few")]
    chosen = select(train, test, Selection(train=20, val=10))
    labels = [label for _, label in chosen["train"]]
    assert labels.count("few") == 2
    assert labels.count("many") == 18
    assert len(chosen["val"]) == 10
    sources = [source for rows in chosen.values() for source, _ in rows]
    assert len(sources) == len(set(sources))
    assert ("unseen", "few") in chosen["test"]


def test_a_judged_row_never_trains() -> None:
    rows = [("same text", "a"), ("other", "b"), ("another", "a")]
    chosen = select(rows, rows, Selection(train=2))
    assert not {source for source, _ in chosen["train"]} & {source for source, _ in chosen["test"]}


def test_so_many_of_each_class() -> None:
    rows = [(f"{label} {number}", label) for label in "abc" for number in range(30)]
    chosen = select(rows, [], Selection(per_class=4, classes=2))
    assert sorted(label for _, label in chosen["train"]) == ["a"] * 4 + ["b"] * 4


def test_every_beginning_has_two_of_each_class() -> None:
    rows = [
        (f"{label} {number}", label) for label, count in (("a", 500), ("b", 3)) for number in range(count)
    ]
    assert sorted(label for _, label in in_proportion(rows)[:4]) == ["a", "a", "b", "b"]
    assert in_proportion(rows) == in_proportion(reversed(rows))


def test_ratios_are_taken_round_by_round() -> None:
    slow = [
        record(FULL, "peer", "peer", seconds, repeat=repeat) for repeat, seconds in enumerate((10, 40, 90))
    ]
    quick = [
        record(FULL, "own", "Cutpoint", seconds, repeat=repeat) for repeat, seconds in enumerate((10, 20))
    ]
    found = ratio(slow, quick)
    assert found is not None
    assert (found.median, found.low, found.high, found.count) == (1.5, 1.0, 2.0, 2)
    assert ratio(slow, quick, phase="training") is None
    assert ratio(slow[2:], quick) is None


def test_worse_is_only_what_a_sign_test_tells() -> None:
    low, near, high = (record(FULL, "x", "peer", 1, accuracy=share) for share in (0.6, 0.78, 0.8))
    assert is_worse(low, high)
    assert not is_worse(high, low)
    assert not is_worse(near, high)


def test_accuracy_of_a_moment_is_that_of_the_model_then_at_hand() -> None:
    race = record(
        RACE,
        THE_RACE,
        "Cutpoint",
        50,
        points=[{"seconds": 5, "accuracy": 0.6}, {"seconds": 20, "accuracy": 0.8}],
    )
    assert accuracy_at(race, 4) is None
    assert accuracy_at(race, 19.9) == 0.6
    assert accuracy_at(race, 1000) == 0.8


def state_of(records: list[Record], beginning: str) -> str:
    return next(each.state for each in findings(records) if each.goal.startswith(beginning))


def test_goals_are_met_only_where_the_records_say_so() -> None:
    records = [
        record(PROBE, HEAD_ALONE, "Cutpoint", 11),
        record(PROBE, COLD, "Cutpoint", 20, accuracy=0.85),
        record(PROBE, "floor, PyTorch", "floor", 10),
        record(PROBE, "plain PyTorch", "peer", 400, accuracy=0.75),
        record(PROBE, "fastai", "peer", 600, accuracy=0.70),
    ]
    assert fastest_peer(records, PROBE) == records[3]
    assert state_of(records, "(a) frozen features") == "met"
    assert state_of(records, "(a) cold") == "met"
    assert state_of(records, "(a) with a converted graph") == "not measured"
    assert state_of(records, "(a) a first usable model") == "met"
    more_accurate = [*records, record(PROBE, "Lightning", "peer", 700, accuracy=0.9)]
    assert state_of(more_accurate, "(a) cold") == "not met"
    slower = [*records[1:], record(PROBE, HEAD_ALONE, "Cutpoint", 12)]
    assert state_of(slower, "(a) frozen features") == "not met"
    quicker_floor = [*records, record(PROBE, "floor, OpenVINO", "floor", 5)]
    assert state_of(quicker_floor, "(a) frozen features") == "not met"


def test_the_loop_is_compared_with_the_loop() -> None:
    records = [
        record(FULL, COLD, "Cutpoint", 60, training=31),
        record(FULL, "floor, PyTorch", "floor", 30, training=30),
        record(FULL, "plain PyTorch", "peer", 90, training=90),
    ]
    assert state_of(records, "(c) the epochs alone") == "met"
    assert state_of(records, "(c) ≤ 0.6×") == "not met"


def test_the_race_must_not_be_behind_at_any_moment() -> None:
    peer_points = [{"seconds": 10, "accuracy": 0.5}, {"seconds": 50, "accuracy": 0.7}]
    peer = record(PROBE, "plain PyTorch", "peer", 50, accuracy=0.7, points=peer_points)
    early, late = (
        record(RACE, THE_RACE, "Cutpoint", 50, points=[{"seconds": start, "accuracy": 0.8}])
        for start in (5, 20)
    )
    at_every_moment = "(e) the race: at every moment"
    assert state_of([peer, early], at_every_moment) == "met"
    assert state_of([peer, late], at_every_moment) == "not met"
    assert state_of([peer, late], "(e) the race: a better model") == "met"
    assert state_of([late], at_every_moment) == "not measured"


def test_tables_tell_who_failed_and_who_is_missing() -> None:
    broken = {**record(PROBE, "fastai", "peer", 1), "failed": "Traceback\nValueError: no such thing"}
    records = [record(PROBE, COLD, "Cutpoint", 20), record(PROBE, "plain PyTorch", "peer", 300), broken]
    text = tables(records, "quick")
    assert "| plain PyTorch | 1 | 60.0 | 300.0 |  | 0.800 | 15.0× | 1.00 GB |" in text
    assert "fastai failed: `ValueError: no such thing`" in text
    assert "provisional" not in text
    assert PROBE in missing(records, "quick")
    busy = [{**each, "cores_busy_with_other_work": 1.2} for each in records]
    assert "the ratios are provisional" in tables(busy, "quick")


def test_the_page_holds_what_was_published_and_no_folder_of_the_machine(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text(
        "Before\n<!-- speed tables -->\nstale\n<!-- end of speed tables -->\nAfter\n", encoding="utf-8"
    )
    write_report(tmp_path, tmp_path)
    assert NOTHING in page.read_text(encoding="utf-8")
    micro = {
        **record(MICRO, "Cutpoint", "Cutpoint", 1),
        "accuracy": None,
        "measures": {"cache written, MB/s": 512.0, HELP: 0.4},
    }
    publish([record(PROBE, COLD, "Cutpoint", 20), micro], tmp_path / "quick.json")
    write_report(tmp_path, tmp_path)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("Before\n")
    assert text.endswith("After\n")
    assert "stale figures" not in text
    assert "| cache written, MB/s | 512 | 512 | 512 |" in text
    assert (tmp_path / "images" / "benchmarks.png").exists()
    assert "machine.csv" not in (tmp_path / "quick.json").read_text(encoding="utf-8")


def test_a_record_that_is_there_is_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(bench: Bench, job: Job, contender: Any) -> Record:
        asked.append(contender.name)
        if contender.name == "fastai" and asked.count("fastai") == 1:
            return {"failed": "out of memory"}
        found = record(job.work, contender.name, contender.side, 10)
        return {name: found[name] for name in ("seconds", "points", "accuracy", "right", "rows", "measures")}

    monkeypatch.setattr(Bench, "_in_own_process", answer)
    monkeypatch.setattr("benchmarks.speed.running.write_list", lambda file, name, modality, selection: None)
    bench = Bench("tiny", tmp_path, threads=1)
    bench.run([FULL])
    first = list(asked)
    assert len(first) == len(set(first)) > 4
    bench.run([FULL])
    assert asked[len(first) :] == ["fastai"]  # what failed is tried again
    bench.run([FULL])
    assert len(asked) == len(first) + 1
    assert len(bench.records()) == len(first)


def test_every_round_another_rival_begins_and_cache_states_keep_their_order() -> None:
    contenders = next(work for work in WORKS if work.name == PROBE).contenders
    rounds = [[each.name for each in in_turn(contenders, repeat)] for repeat in range(2)]
    own = [each.name for each in contenders if each.side == "Cutpoint"]
    assert [names[: len(own)] for names in rounds] == [own, own]
    assert rounds[0][len(own)] != rounds[1][len(own)]
    assert sorted(rounds[0]) == sorted(rounds[1])


def test_every_tier_knows_every_work_and_names_are_files() -> None:
    for sizes in TIERS.values():
        assert set(sizes) == {work.name for work in WORKS}
    for work in WORKS:
        names = [slug(contender.name) for contender in work.contenders]
        assert len(set(names)) == len(names)


def test_the_clock_stands_while_answers_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(clock)))
    rows = tmp_path / "rows.csv"
    rows.write_text("input,label,split\nx,a,train\ny,b,test\nz,a,test\n", encoding="utf-8")
    job = Job("probe", "me", "image", "probe", str(rows), "", 2, (1,), "")
    job.write(tmp_path / "job.json")
    assert Job.read(tmp_path / "job.json") == job
    track = Track(job)
    track.epoch_ends(1, lambda: [1, 1])
    track.epoch_ends(2, lambda: [1, 0])
    assert [point["accuracy"] for point in track.points] == [0.5, 1.0]
    assert track.right == "11"
    assert track.seconds["model"] - track.seconds["first_model"] == 2.0  # two looks at the clock, no pause
    unjudged = Track(replace(job, judged_epochs=()))
    unjudged.epoch_ends(1, lambda: pytest.fail("nobody asked"))
    assert unjudged.points == []


def test_cache_states(tmp_path: Path) -> None:
    for name in ("features.npy", "features.json", "graph.xml"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    prepare_cache(tmp_path, "warm")
    assert len(list(tmp_path.iterdir())) == 3
    prepare_cache(tmp_path, "converted")
    assert [path.name for path in tmp_path.iterdir()] == ["graph.xml"]
    prepare_cache(tmp_path, "cold")
    assert not tmp_path.exists()
    with pytest.raises(ValueError, match="lukewarm"):
        prepare_cache(tmp_path, "lukewarm")


def test_published_records_are_whole() -> None:
    for file in (Path(__file__).parents[2] / "benchmarks" / "speed" / "results").glob("*.json"):
        for each in json.loads(file.read_text(encoding="utf-8")):
            assert "failed" in each or each["accuracy"] is not None or each["measures"]
