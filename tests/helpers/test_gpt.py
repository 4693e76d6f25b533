"""workorder-gpt: tokenizer, NumPy against Keras and the chapter, sampling, files."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from helpers import InputError, ModelError, load_orders
from helpers.gpt import (
    CONTEXT,
    EPSILON,
    FIELDS,
    FILE,
    RUNS,
    Cache,
    Size,
    Step,
    Tokenizer,
    WorkorderGPT,
    build_gpt,
    distribution,
    from_keras,
    gelu,
    load_gpt,
    records,
    save_gpt,
    score,
    split_all,
    train_gpt,
)
from helpers.gpt.__main__ import SEEDS, WIDTHS
from helpers.gpt.inference import VALUE_TOKENS
from helpers.gpt.sampling import choose, log_softmax, until_stop
from helpers.gpt.tokenizer import TEXT_TOKENS
from helpers.gpt.training import batches, record_loss
from helpers.prepare import MAX_CHARACTERS, normalise, split_by_time

SIZE = Size(width=32, layers=2, heads=4)
TEXT = "Replace LH bucket tooth zzz"
ODD = [
    "",
    "???",
    "Öl läuft über",
    "🔥 pump 🔥",
    "日本語",
    "a" * 40,
    "L/H pumps/valves won't",
]


@pytest.fixture(scope="module")
def orders():
    """A few hundred real orders from the whole period."""
    return load_orders()[::12]


@pytest.fixture(scope="module")
def trained(orders):
    """A tiny network, trained for two epochs, in Keras."""
    return train_gpt(orders, SIZE, epochs=2)


@pytest.fixture(scope="module")
def model(trained):
    return from_keras(*trained[:2])


@pytest.fixture(scope="module")
def tokens(model, orders):
    """A real prompt and its record."""
    t = model.tokenizer
    return t.encode_text(TEXT) + t.encode_record(records(orders)[0])


def written(steps):
    return "".join(step.token for step in steps)


# Tokenizer


def test_every_record_survives_the_round_trip_exactly(model):
    everything = load_orders()
    for record in records(everything):
        ids = model.tokenizer.encode_record(record)
        assert json.loads(model.tokenizer.decode(ids)) == record


def test_every_text_survives_the_round_trip(model):
    for text in [*load_orders()["text"], *ODD]:
        ids = model.tokenizer.encode_text(text)
        assert model.tokenizer.decode(ids).strip() == normalise(text)


@pytest.mark.parametrize("value", ['say "x"', "back\\slash", "_a__b_", "ü", "", "\n"])
def test_values_that_need_care_survive_too(model, value):
    record = dict.fromkeys(FIELDS, value)
    ids = model.tokenizer.encode_record(record)
    assert json.loads(model.tokenizer.decode(ids)) == record
    assert not {0, 1, 2} & set(ids[:-1]), "a control token inside the record"


def test_an_unknown_word_is_spelled_and_a_known_one_is_not(model):
    t = model.tokenizer
    assert len(t.encode_text("bucket")) == 3
    assert len(t.encode_text("bucketz")) == 2 + len(" bucketz")
    rng = np.random.default_rng(0)
    spelled = t.encode_text("bucket", spell=1.0, rng=rng)
    assert len(spelled) == 2 + len(" bucket")
    assert t.decode(spelled) == t.decode(t.encode_text("bucket")) == " bucket"


def test_long_texts_are_cut_and_very_long_ones_refused(model):
    t = model.tokenizer
    longest = t.encode_text("x" * MAX_CHARACTERS)
    assert len(longest) == TEXT_TOKENS + 2 and longest[-1] == t.SEP
    assert set(model.write_record("x" * MAX_CHARACTERS)) == set(FIELDS)
    with pytest.raises(InputError, match="1,001 characters"):
        t.encode_text("x" * (MAX_CHARACTERS + 1))
    with pytest.raises(InputError, match="not bytes"):
        t.encode_text(b"oil")


def test_tokens_have_one_number_each(model):
    t = model.tokenizer
    assert len(set(t.pieces[3:])) == len(t) - 3


def test_only_orders_before_the_test_period_are_learned():
    learn, test = split_all(load_orders())
    assert len(learn) == int(5126 * 0.8) and len(learn) + len(test) == 5126
    assert learn["date"].max() <= test["date"].min()
    words = [word for text in learn["clean"] for word in text.split()]
    assert set(Tokenizer.fit(learn).words) == {w for w in words if words.count(w) > 1}
    crews = split_by_time(load_orders()).test
    assert learn["date"].max() < crews["date"].min()


# The network


def test_numpy_equals_keras(trained, model, tokens):
    keras_logits = trained[0](np.array([tokens])).numpy()[0]
    assert np.abs(keras_logits - model.logits(tokens)).max() < 1e-4
    assert model.logits(tokens).dtype == np.float32
    assert model.parameters == trained[0].count_params()


def by_hand(ids, w, heads):
    """The decoder of chapter 06, as short as it can be written."""

    def norm(x, name):
        spread = np.sqrt(x.var(-1, keepdims=True) + EPSILON)
        return (x - x.mean(-1, keepdims=True)) / spread * w[name] + w[f"{name}_bias"]

    def dense(x, name):
        return x @ w[name] + w[f"{name}_bias"]

    x = w["token"][ids] + w["place"][: len(ids)]
    for n in range(sum(name.endswith("qkv") for name in w)):
        three = dense(norm(x, f"{n}_norm1"), f"{n}_attention.qkv")
        mixed = []
        for q, k, v in zip(*(np.split(t, heads, 1) for t in np.split(three, 3, 1))):
            scores = np.where(np.tri(len(ids)), q @ k.T / np.sqrt(q.shape[1]), -np.inf)
            share = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
            mixed.append(share @ v)
        x = x + dense(np.hstack(mixed), f"{n}_attention.out")
        x = x + dense(gelu(dense(norm(x, f"{n}_norm2"), f"{n}_up")), f"{n}_down")
    return norm(x, "norm") @ w["token"].T


def test_the_forward_pass_equals_the_one_by_hand(tokens, model):
    shipped = load_gpt()
    ids = shipped.tokenizer.encode_text(TEXT)
    for network, row in ((model, tokens), (model, tokens[:1]), (shipped, ids)):
        wanted = by_hand(row, network.weights, network.size.heads)
        assert np.abs(network.logits(row) - wanted).max() < 1e-4


def test_the_shipped_weights_mean_the_same_to_keras():
    shipped = load_gpt()
    network = build_gpt(len(shipped.tokenizer), shipped.size)
    for layer in network.layers:
        layer.set_weights([w for w in arrays_of(layer, shipped.weights)])
    again = from_keras(network, shipped.tokenizer)
    assert again.size == shipped.size and again.weights.keys() == shipped.weights.keys()
    for name, array in again.weights.items():
        assert np.array_equal(array, shipped.weights[name])
    for text, record in zip(load_orders()["text"][-50:], records(load_orders()[-50:])):
        t = shipped.tokenizer
        ids = t.encode_text(text) + t.encode_record(record)
        theirs = network(np.array([ids])).numpy()[0]
        assert np.abs(theirs - shipped.logits(ids)).max() < 5e-5


def arrays_of(layer, weights):
    """The weights of one layer of build_gpt, taken out of the shipped arrays."""
    if "attention" not in layer.name:
        found = (layer.name, f"{layer.name}_bias")
        return [weights[name] for name in found if name in weights]
    kernels = np.split(weights[f"{layer.name}.qkv"], 3, axis=1)
    biases = np.split(weights[f"{layer.name}.qkv_bias"], 3)
    out = [weights[f"{layer.name}.out"], weights[f"{layer.name}.out_bias"]]
    flat = [a for pair in zip(kernels, biases) for a in pair] + out
    return [a.reshape(w.shape) for a, w in zip(flat, layer.get_weights())]


def test_a_batch_trains_the_record_only_and_every_row_once():
    prompts = [[1, 5, 2], [1, 5, 6, 7, 2], [1, 2]] * 30
    answers = [[20 + n % 3, 9, 1] for n in range(90)]
    seen, orders = 0, []
    for seed in (0, 1):
        for x, y, weight in batches(prompts, answers, np.random.default_rng(seed)):
            assert np.array_equal(x[:, 1:], y[:, :-1])  # y is x, one place further on
            assert (weight.sum(1) == 3).all() and set(y[weight == 1]) <= {
                9,
                1,
                20,
                21,
                22,
            }
            seen += len(x)
            orders.append(y[weight == 1].tolist())
    assert seen == 180 and orders[: len(orders) // 2] != orders[len(orders) // 2 :]


def test_a_letter_of_two_tokens_is_written_once(model):
    pieces = model.tokenizer._ids("ü")
    assert len(pieces) == 2
    logits = iter([*pieces, model.tokenizer.END])
    copy = WorkorderGPT(model.tokenizer, model.weights, model.size)

    def planned(tokens, cache=None):
        rows = np.full((1, len(model.tokenizer)), -50.0, np.float32)
        rows[0, next(logits)] = 0
        return rows

    copy.logits = planned
    steps = list(copy.generate("seal"))
    assert [step.token for step in steps] == ["", "ü", ""]


def test_keras_ignores_what_pads_a_row(trained, model, tokens):
    padded = np.zeros((1, len(tokens) + 9), np.int32)
    padded[0, : len(tokens)] = tokens
    keras_logits = trained[0](padded).numpy()[0, : len(tokens)]
    assert np.abs(keras_logits - model.logits(tokens)).max() < 1e-4


@pytest.mark.parametrize("piece", [1, 3])
def test_cache_equals_recompute(model, tokens, piece):
    cache = Cache(model.size)
    for start in range(0, len(tokens), piece):
        part = tokens[start : start + piece]
        cached = model.logits(part, cache)[-1]
        again = model.logits(tokens[: start + len(part)])[-1]
        assert np.abs(cached - again).max() < 1e-4
    assert cache.length == len(tokens)


def test_recomputing_writes_the_same(model):
    for text in [TEXT, *ODD]:
        cached = list(model.generate(text, max_tokens=30))
        tokens = model.tokenizer.encode_text(text)
        for step in cached:
            logs = log_softmax(model.logits(tokens)[-1])
            tokens.append(int(logs.argmax()))
            assert model.tokenizer.decode(tokens[-1:]) == step.token
            assert abs(logs.max() - step.logprob) < 1e-4


def test_a_later_token_changes_nothing_before_it(model, tokens):
    changed = [*tokens[:-1], tokens[-1] + 7]
    before, after = model.logits(tokens), model.logits(changed)
    assert np.array_equal(before[:-1], after[:-1])
    assert not np.allclose(before[-1], after[-1])
    first = model.logits([tokens[0] + 7, *tokens[1:]])
    assert not np.allclose(before[-1], first[-1])


def test_the_context_has_an_end(model):
    assert len(model.logits([5] * CONTEXT)) == CONTEXT
    for wrong in ([], [5] * (CONTEXT + 1)):
        with pytest.raises(InputError, match=f"1 to {CONTEXT}"):
            model.logits(wrong)


def test_training_lowers_the_loss_and_repeats(orders, trained, model):
    runs = [train_gpt(orders[:100], Size(16, 1, 2), epochs=4)[2] for _ in range(2)]
    assert runs[0][-1] < runs[0][0] and len(runs[0]) == 4
    assert np.allclose(*runs, atol=1e-5)


# Generation


def test_steps_come_one_by_one(model, monkeypatch):
    calls = []
    real = model.logits
    monkeypatch.setattr(model, "logits", lambda *a: calls.append(1) or real(*a))
    steps = model.generate(TEXT, max_tokens=5)
    assert not calls
    next(steps)
    assert len(calls) == 1
    assert len(list(steps)) == 4 and len(calls) == 5


def test_log_probabilities_sum_to_one(model, tokens):
    for row in model.logits(tokens):
        assert abs(np.exp(log_softmax(row)).sum() - 1) < 1e-9


def test_each_step_carries_its_log_probability_and_the_best(model):
    step = next(model.generate(TEXT))
    token, best = step.top[0]
    assert (step.token, step.logprob) == (token, best) and best <= 0
    assert [value for _, value in step.top] == sorted(
        (value for _, value in step.top), reverse=True
    )
    hot = next(model.generate(TEXT, temperature=2.0, seed=3))
    assert hot.top == step.top  # the model's own, whatever the temperature


def test_temperature_zero_is_deterministic_and_seeds_repeat(model):
    def text(**settings):
        return written(model.generate(TEXT, max_tokens=20, **settings))

    assert text() == text(seed=1) == text(seed=2, top_p=0.3)
    assert text(temperature=1.0, seed=4) == text(temperature=1.0, seed=4)
    assert len({text(temperature=1.0, seed=seed) for seed in range(5)}) > 1


def test_temperature_raises_the_entropy(model, tokens):
    logits = model.logits(tokens[:-4])[-1]

    def entropy(temperature):
        p = distribution(logits, temperature, 1.0)
        return -(p[p > 0] * np.log(p[p > 0])).sum()

    assert entropy(0.3) < entropy(0.7) < entropy(1.0) < entropy(1.5) < entropy(2)
    coldest = distribution(logits, 1e-300, 1.0)
    assert coldest.argmax() == logits.argmax() and coldest.max() == 1


def test_top_p_keeps_only_the_nucleus():
    logits = np.log(np.array([0.1, 0.5, 0.1, 0.3], np.float32))
    assert distribution(logits, 1.0, 0.5).tolist() == [0, 1, 0, 0]
    assert np.allclose(distribution(logits, 1.0, 0.7), [0, 0.625, 0, 0.375])
    assert np.allclose(distribution(logits, 1.0, 1.0), [0.1, 0.5, 0.1, 0.3])
    rng = np.random.default_rng(0)
    drawn = [choose(logits, 1.0, 0.7, rng) for _ in range(4000)]
    assert set(drawn) == {1, 3}
    assert abs(np.mean(np.array(drawn) == 1) - 0.625) < 0.04


def test_max_tokens(model):
    steps = list(model.generate(TEXT, max_tokens=3))
    assert len(steps) == 3 and steps[-1].finish == "length"
    assert [step.finish for step in steps[:-1]] == ["", ""]
    long = list(model.generate("x" * 999, 500, temperature=2.0, seed=1))
    assert len(long) <= CONTEXT - TEXT_TOKENS - 2 and long[-1].finish


@pytest.mark.parametrize("stop", ['"system"', ['": "', "nothing"], "{", 'tem": "'])
def test_stop_strings_end_the_output_and_are_not_in_it(model, stop):
    whole = written(model.generate(TEXT, grammar=True))
    first = stop if isinstance(stop, str) else stop[0]
    steps = list(model.generate(TEXT, grammar=True, stop=stop))
    assert written(steps) == whole[: whole.index(first)]
    assert steps[-1].finish == "stop"
    assert not any(step.finish for step in steps[:-1])


def test_the_first_stop_string_in_the_text_ends_it():
    pieces = [Step(text, -0.1, ()) for text in ("ab", "cd", "ef", "gh")]
    for stop, wanted in (
        (("ef", "bc"), "a"),
        (("g", "de"), "abc"),
        (("h",), "abcdefg"),
    ):
        steps = list(until_stop(iter(pieces), stop))
        assert written(steps) == wanted
        assert [s.finish for s in steps] == [""] * (len(steps) - 1) + ["stop"]


def test_a_stop_string_over_several_tokens_is_held_back(model):
    step = next(model.generate(TEXT))

    def until(pieces, *stop):
        steps = until_stop(iter([step._replace(token=p) for p in pieces]), stop)
        return [s.token for s in steps if s.token]

    assert until(["a", "EN", "D", "b"], "END") == ["a"]
    assert until(["a", "EN", "x", "b"], "END") == ["a", "EN", "x", "b"]
    assert until(["xE", "ND"], "END", "zz") == ["x"]
    assert until(["E", "E", "N", "D"], "END") == ["E"]
    assert until(["a", "E"], "END") == ["a", "E"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_tokens": 0},
        {"max_tokens": 1.5},
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"temperature": 2.1},
        {"top_p": 0},
        {"top_p": 1.1},
        {"stop": ""},
        {"stop": [3]},
    ],
)
def test_settings_out_of_range_are_refused_at_once(model, wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        model.generate(TEXT, **wrong)


def test_under_the_grammar_every_text_and_temperature_gives_a_record(model):
    for text in [TEXT, *ODD]:
        assert set(model.write_record(text)) == set(FIELDS)
        for seed in range(5):
            steps = list(
                model.generate(text, 64, temperature=2.0, seed=seed, grammar=True)
            )
            assert list(json.loads(written(steps))) == list(FIELDS)
            assert steps[-1].finish == "stop"


def test_no_value_in_the_data_is_longer_than_the_grammar_allows(model):
    t = Tokenizer.fit(split_all(load_orders())[0])
    longest = 0
    for record in records(split_all(load_orders())[0]):
        ids = t.encode_record(record)
        places = [n for n, token in enumerate(ids) if token in t.frame]
        longest = max(longest, *np.diff(places) - 1)
    assert longest <= VALUE_TOKENS
    assert 4 * (VALUE_TOKENS + 1) + 2 <= CONTEXT - TEXT_TOKENS - 2


def test_scores_are_of_the_last_fifth(model, orders):
    result = score(model, orders)
    assert set(result) == {*FIELDS, "record", "loss", "perplexity"}
    assert all(result["record"] <= result[field] <= 1 for field in FIELDS)
    assert result["perplexity"] == pytest.approx(np.exp(result["loss"]))
    _, test = split_all(orders)
    truth, text = records(test)[0], test["text"].iloc[0]
    assert (record_loss(model, text, truth) > 0).all()


# Saved files


@pytest.fixture
def path(model, tmp_path):
    """A saved model."""
    save_gpt(model, tmp_path / "gpt.npz")
    return tmp_path / "gpt.npz"


def test_saved_and_loaded_is_the_model_in_half_precision(model, tokens, path):
    loaded = load_gpt(path)
    for name, array in model.weights.items():
        assert loaded.weights[name].dtype == np.float32
        assert np.array_equal(loaded.weights[name], array.astype(np.float16))
    assert np.abs(loaded.logits(tokens) - model.logits(tokens)).max() < 0.05
    assert [file.name for file in path.parent.iterdir()] == ["gpt.npz"]
    save_gpt(loaded, path)
    assert np.array_equal(load_gpt(path).logits(tokens), loaded.logits(tokens))


@pytest.mark.parametrize("keep", [0, 100, 0.5, -1])
def test_a_damaged_file_says_what_to_do(path, keep):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if 0 < keep < 1 else keep])
    with pytest.raises(ModelError, match="python -m helpers.gpt"):
        load_gpt(path)


def test_flipped_bytes_and_wrong_shapes_are_noticed(model, path):
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 255
    path.write_bytes(damaged)
    with pytest.raises(ModelError, match="python -m helpers.gpt"):
        load_gpt(path)
    for name in ("token", "0_up", "1_attention.qkv", "norm_bias"):
        for change in ({name: model.weights[name][..., :-1]}, {}):
            weights = {k: v for k, v in model.weights.items() if k != name} | change
            other = WorkorderGPT(model.tokenizer, weights, SIZE)
            save_gpt(other, path)
            with pytest.raises(ModelError, match="python -m helpers.gpt"):
                load_gpt(path)


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(ModelError, match="git restore .* python -m helpers.gpt"):
        load_gpt(tmp_path / "none.npz")


def test_the_shipped_model_scores_what_the_data_card_and_the_table_say():
    """Chapter 06 shows the table's scores as those of the shipped file."""
    model = load_gpt()
    result = score(model, load_orders())
    card = (FILE.parent / "README.md").read_text(encoding="utf-8")
    runs = pd.read_csv(RUNS).set_index(["width", "seed"])
    assert list(runs.index) == [(width, seed) for width in WIDTHS for seed in SEEDS]
    seeds = runs.loc[Size().width]
    for name in result:
        assert seeds.loc[SEEDS[0], name] == pytest.approx(result[name], abs=0.005)
    for name, title in (*zip(FIELDS, FIELDS), ("record", "whole record")):
        (line,) = (x for x in card.splitlines() if x.startswith(f"| {title} |"))
        numbers = [float(cell) for cell in line.split("|")[2:-1]]
        assert numbers == [*seeds[name].round(2), round(seeds[name].mean(), 2)]
    assert result["record"] == pytest.approx(0.70, abs=0.01)
    assert seeds.loc[SEEDS[0], "parameters"] == model.parameters
    assert model.size == Size() and FILE.stat().st_size < 400_000


def test_the_shipped_model_knows_only_orders_before_the_test_period():
    learn, _ = split_all(load_orders())
    fitted, shipped = Tokenizer.fit(learn), load_gpt().tokenizer
    assert (fitted.names, fitted.words) == (shipped.names, shipped.words)


def test_the_model_loads_and_writes_without_tensorflow():
    code = (
        "import sys; from helpers.gpt import load_gpt; "
        "load_gpt().write_record('oil leak'); "
        "sys.exit(any(m in sys.modules for m in ('tensorflow', 'keras')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
