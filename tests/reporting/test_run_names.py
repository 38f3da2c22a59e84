from __future__ import annotations

from graftwork.reporting.run_names import names


def run(model: str, transfer: str, **more: str) -> dict[str, str]:
    extra = {key.replace("__", "."): value for key, value in more.items()}
    return {"model.name": model, "transfer.name": transfer, "dataset.path": model, **extra}


def test_network_and_strategy_where_they_differ():
    params = [run("resnet50", "lp_ft", seed="0"), run("vit_small", "lp_ft", seed="0")]
    assert names(params, ["a", "b"]) == ["resnet50", "vit_small"]
    params.append(run("resnet50", "linear_probe", seed="0"))
    assert names(params, ["a", "b", "c"]) == [
        "resnet50 lp_ft", "vit_small lp_ft", "resnet50 linear_probe",
    ]  # fmt: skip
    assert names(params[:1], ["a"]) == ["resnet50"]


def test_only_what_is_equal_gets_more():
    params = [
        run("resnet50", "lp_ft", seed="0"),
        run("resnet50", "lp_ft", seed="1"),
        run("vit_small", "lp_ft", seed="0"),
    ]
    assert names(params, ["a", "b", "c"]) == ["resnet50 seed=0", "resnet50 seed=1", "vit_small"]


def test_the_setting_that_parts_them_best_comes_first():
    params = [
        run("n", "t", seed=seed, augmentation__name=name)
        for seed, name in (("0", "x"), ("1", "x"), ("2", "y"), ("2", "z"))
    ]
    found = names(params, list("abcd"))
    assert len(set(found)) == 4
    assert found[0] == "n seed=0" and "augmentation.name=y" in found[2]


def test_repetitions_are_told_by_their_id():
    assert names([run("n", "t")] * 2, ["0123456789", "abcdefghij"]) == ["n 01234567", "n abcdefgh"]


def test_what_is_a_consequence_or_a_place_tells_nothing():
    params = [run("n", "t", tracking__experiment="a"), run("n", "t", tracking__experiment="b")]
    assert names(params, ["one", "two"]) == ["n one", "n two"]
