"""workorder-gpt: a small GPT, trained from nothing on the excavator orders.

A decoder-only Transformer (Vaswani et al. 2017, Attention Is All You Need; Radford et
al. 2018, 2019) reads the text of an order and writes a record as JSON, token by token:

    <end> seal leaking <sep> {"system": "none", "part": "Seal", ...} <end>

Keras trains it; a few lines of NumPy run it, with the same numbers. The four fields
were written by keyword rules over the same text, so a high score says that the model
has learned the rules, not that it knows excavators.
"""

import json
import os
from codecs import getincrementaldecoder
from collections import Counter
from collections.abc import Iterator, Sequence
from math import sqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers.data import CSV_SHA256, DATA
from helpers.errors import InputError, ModelError
from helpers.prepare import check_text, load_orders, normalise

NAME = "workorder-gpt"
FILE = DATA / f"{NAME}.npz"
SCORES = DATA / f"{NAME}-seeds.csv"  # of the same training with other seeds
SEEDS = (0, 1, 2)
FIELDS = ("system", "part", "action", "failure_mode")
NONE = "none"  # what a record says where the data say NA
CONTEXT = 128  # tokens the model can look back on, the record included
TEXT_TOKENS = 64  # of a text; what is longer is cut
VALUE_TOKENS = 12  # of one field; the longest in the data has 9
EPSILON = 1e-5  # of the layer normalisation
EPOCHS, BATCH, RATE, DECAY, SPELL = 5, 32, 5e-3, 0.1, 0.05
COMMAND = "python -m helpers.gpt"  # trains the model; writes FILE and SCORES
TOP = 5  # likeliest tokens in each Step


class Size(NamedTuple):
    """Shape of the network; a head is width / heads wide."""

    width: int = 64
    layers: int = 2
    heads: int = 4


STANDARD = Size()


class Step(NamedTuple):
    """One generated token.

    logprob and top (the likeliest tokens, best first) are the model's own, as natural
    logarithms, before temperature and top_p. A letter of several tokens is the text of
    the last of them. finish is "" while more may come, "stop"
    at the end of the record or at a stop string, "length" where a limit was reached.
    """

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...]
    finish: str = ""


def split_all(orders: pd.DataFrame, test: float = 0.2) -> tuple[pd.DataFrame, ...]:
    """Cut ALL orders by time, also those without a crew: the last 20 % are the test.

    split_by_time cuts only the orders with a crew; its test begins 28 orders later, so
    nothing that is tested there is learned here.
    """
    orders = orders.sort_values("date", kind="stable")
    cut = int(len(orders) * (1 - test))
    return orders[:cut], orders[cut:]


def records(orders: pd.DataFrame) -> list[dict[str, str]]:
    """The labelled record of each order; "none" for NA and missing values."""
    table = orders[list(FIELDS)].fillna(NONE).replace("NA", NONE)
    return table.to_dict("records")


class Tokeniser:
    """Text and records as token numbers, and back without loss.

    The tokens: three for control; what stands around the values of a record; single
    bytes, so that a word not listed is spelled (byte fallback: Kudo & Richardson 2018,
    SentencePiece); names that make up the values; words, each with the space before it.
    """

    PAD, END, SEP = 0, 1, 2
    FRAME = ('{"system": "', '", "part": "', '", "action": "', '", "failure_mode": "')
    FRAME = (*FRAME, '"}')

    def __init__(self, names: Sequence[str], words: Sequence[str]):
        """Number the tokens: names and words in the order given."""
        self.names, self.words = list(names), list(words)
        self.pieces = [b"", b"", b"", *(text.encode() for text in self.FRAME)]
        self.frame = list(range(3, len(self.pieces)))
        self.pieces += [bytes([number]) for number in range(32, 256)]
        self.pieces += [name.encode() for name in self.names]
        self.pieces += [f" {word}".encode() for word in self.words]
        self._index = {p: number for number, p in enumerate(self.pieces) if p}
        self.value_tokens = self._numbers("_") + [
            self._index[name.encode()] for name in self.names
        ]

    def __len__(self) -> int:
        """Count of tokens."""
        return len(self.pieces)

    @classmethod
    def fit(cls, orders: pd.DataFrame, min_count: int = 2) -> "Tokeniser":
        """Learn names and words that occur in at least min_count (words) orders."""
        values = {value for row in records(orders) for value in row.values()}
        names = {name for value in values for name in value.split("_")}
        counts = Counter(word for text in orders["clean"] for word in text.split())
        words = [word for word, count in counts.most_common() if count >= min_count]
        return cls(sorted(name for name in names if len(name) > 1), words)

    def _numbers(self, text: str) -> list[int]:
        """One token where the whole text is one, else a token a byte."""
        whole = self._index.get(text.encode())
        if whole is not None:
            return [whole]
        return [self._index[bytes([number])] for number in text.encode()]

    def encode_text(self, text: str, spell: float = 0.0, rng=None) -> list[int]:
        """The prompt for a raw text: END, its normalised words, SEP.

        Args:
            text: a work order; of long ones the first TEXT_TOKENS tokens are kept.
            spell: share of known words to spell all the same; in training, this
                teaches the model to read words it has not seen.
            rng: np.random.Generator, needed where spell is not 0.

        Raises:
            InputError: not a string, or longer than 1,000 characters.

        """
        numbers: list[int] = []
        for word in normalise(check_text(text)).split():
            if spell and rng.random() < spell:
                numbers += [n for c in f" {word}" for n in self._numbers(c)]
            else:
                numbers += self._numbers(f" {word}")
        return [self.END, *numbers[:TEXT_TOKENS], self.SEP]

    def encode_record(self, record: dict[str, str]) -> list[int]:
        """What the model is to write: the record as JSON, and END."""
        numbers: list[int] = []
        for frame, field in zip(self.frame, FIELDS, strict=False):
            numbers.append(frame)
            names = json.dumps(record[field])[1:-1].split("_")
            for place, name in enumerate(names):
                numbers += self._numbers("_") * (place > 0) + self._numbers(name)
        return [*numbers, self.frame[-1], self.END]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens; control tokens are empty, broken UTF-8 becomes U+FFFD."""
        return b"".join(self.pieces[number] for number in tokens).decode(
            "utf-8", "replace"
        )


# Training, with Keras --------------------------------------------------------------


def build_gpt(tokens: int, size: Size = STANDARD):
    """The network in Keras: token numbers (batch, n) in, logits (batch, n, tokens) out.

    Blocks with the normalisation first (Radford et al. 2019) and GELU (Hendrycks &
    Gimpel 2016); one table both for reading and for writing tokens (Press & Wolf 2017).
    """
    from helpers.lstm import keras, layers

    ops = keras.ops
    table = layers.ReversibleEmbedding(tokens, size.width, name="token")
    place = layers.Embedding(CONTEXT, size.width, name="place")
    inputs = keras.Input((None,), dtype="int32")
    x = table(inputs) + place(ops.cumsum(ops.ones_like(inputs), axis=1) - 1)
    for n in range(size.layers):
        y = layers.LayerNormalization(epsilon=EPSILON, name=f"{n}_norm1")(x)
        heads = layers.MultiHeadAttention(
            size.heads, size.width // size.heads, name=f"{n}_attention"
        )
        x = x + heads(y, y, use_causal_mask=True)
        y = layers.LayerNormalization(epsilon=EPSILON, name=f"{n}_norm2")(x)
        y = layers.Dense(4 * size.width, name=f"{n}_up")(y)
        y = ops.gelu(y, approximate=True)
        x = x + layers.Dense(size.width, name=f"{n}_down")(y)
    x = layers.LayerNormalization(epsilon=EPSILON, name="norm")(x)
    return keras.Model(inputs, table(x, reverse=True))


def batches(
    prompts: Sequence[list[int]],
    answers: Sequence[list[int]],
    rng: np.random.Generator,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """One epoch of batches of similar length, in random order.

    Yields:
        Tokens, the token that follows each, and its weight in the loss (1 in the
        record, 0 in the text and the padding), each (batch, n).

    """
    rows = [prompt + answer for prompt, answer in zip(prompts, answers, strict=True)]
    mixed = rng.permutation(len(rows))
    by_length = mixed[np.argsort([len(rows[n]) // 4 for n in mixed], kind="stable")]
    parts = [by_length[n : n + BATCH] for n in range(0, len(rows), BATCH)]
    for part in rng.permutation(np.arange(len(parts))):
        chosen = parts[part]
        table = np.zeros((len(chosen), max(len(rows[n]) for n in chosen)), np.int32)
        weights = np.zeros(table.shape, np.float32)
        for line, n in enumerate(chosen):
            table[line, : len(rows[n])] = rows[n]
            weights[line, len(prompts[n]) : len(rows[n])] = 1
        yield table[:, :-1], table[:, 1:], weights[:, 1:]


def train_gpt(
    orders: pd.DataFrame,
    size: Size = STANDARD,
    epochs: int = EPOCHS,
    seed: int = 0,
):
    """Train on the first 80 % of the orders by time, with teacher forcing and AdamW.

    Args:
        orders: all of them, from load_orders; the last 20 % are left for score.
        size: of the network.
        epochs: passes over the orders.
        seed: of weights and order.

    Returns:
        The Keras model and its Tokeniser; model.losses_by_epoch are mean losses.

    Source: AdamW: Loshchilov & Hutter 2019, Decoupled Weight Decay Regularization, with
    the decay of Brown et al. 2020 (appendix B) and beta_2 of Vaswani et al. 2017.

    """
    import tensorflow as tf

    from helpers.lstm import keras  # quiet: it comes after the settings

    learn, _ = split_all(orders)
    tokeniser = Tokeniser.fit(learn)
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    model = build_gpt(len(tokeniser), size)
    steps = epochs * -(-len(learn) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=RATE, warmup_steps=steps // 10
    )
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction="mean_with_sample_weight"
    )
    optimiser = keras.optimizers.AdamW(rate, DECAY, beta_2=0.98)
    optimiser.build(model.trainable_variables)
    many = tf.TensorSpec([None, None], tf.int32)  # one graph for batches of all shapes

    @tf.function(
        input_signature=[many, many, tf.TensorSpec([None, None])], jit_compile=False
    )
    def step(x, y, weight):
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=True), weight)
        gradients = tape.gradient(value, model.trainable_variables)
        optimiser.apply(gradients, model.trainable_variables)
        return value

    answers = [tokeniser.encode_record(record) for record in records(learn)]
    model.losses_by_epoch = []
    for _ in range(epochs):
        prompts = [tokeniser.encode_text(t, SPELL, rng) for t in learn["text"]]
        losses = [step(*batch) for batch in batches(prompts, answers, rng)]
        model.losses_by_epoch.append(float(np.mean(losses)))
    return model, tokeniser


def keras_weights(model) -> dict[str, np.ndarray]:
    """Weights of a network from build_gpt as float32 arrays with plain names.

    Query, key and value matrices become one, (width, 3 * width).
    """
    weights: dict[str, np.ndarray] = {}
    for layer in model.layers:
        arrays = [np.array(array, np.float32) for array in layer.get_weights()]
        if "attention" in layer.name:
            q, qb, k, kb, v, vb, out, out_bias = arrays
            width = q.shape[0]
            weights[f"{layer.name}.qkv"] = np.concatenate(
                [part.reshape(width, width) for part in (q, k, v)], axis=1
            )
            bias = np.concatenate([part.ravel() for part in (qb, kb, vb)])
            weights[f"{layer.name}.qkv_bias"] = bias
            weights[f"{layer.name}.out"] = out.reshape(width, width)
            weights[f"{layer.name}.out_bias"] = out_bias
        elif arrays:
            weights[layer.name] = arrays[0]
            if len(arrays) > 1:
                weights[f"{layer.name}_bias"] = arrays[1]
    return weights


# Inference, with NumPy only --------------------------------------------------------


class Cache:
    """Keys and values of the tokens read so far: (layers, heads, CONTEXT, width)."""

    def __init__(self, size: Size):
        """Make room for CONTEXT tokens."""
        shape = (size.layers, 2, size.heads, CONTEXT, size.width // size.heads)
        self.both = np.empty(shape, np.float32)  # keys, then values
        self.keys, self.values = self.both[:, 0], self.both[:, 1]
        self.length = 0


class WorkorderGPT:
    """The trained network in NumPy: text in, a record out, one token at a time."""

    def __init__(
        self, tokeniser: Tokeniser, weights: dict[str, np.ndarray], size: Size
    ):
        """Take the arrays of keras_weights.

        Raises:
            ModelError: arrays that are missing or do not fit the size.

        """
        for name, shape in weight_shapes(len(tokeniser), size).items():
            if name not in weights or weights[name].shape != shape:
                found = weights[name].shape if name in weights else "missing"
                raise ModelError(
                    f"The array {name!r} of the model must be {shape}, but is {found}. "
                    f"Make it anew with {COMMAND}."
                )
        self.tokeniser, self.weights, self.size = tokeniser, weights, size
        self.parameters = sum(array.size for array in weights.values())
        self._token, self._place = centred(weights["token"]), centred(weights["place"])
        self._layers = [self._layer(n) for n in range(size.layers)]
        self._write = self._after_norm("norm", weights["token"].T)
        self._grammar = self._masks()

    def _after_norm(
        self, norm: str, matrix: np.ndarray, bias: np.ndarray | float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Matrix and bias with a normalisation's gain and shift multiplied in: faster.

        (z * gain + shift) @ matrix + bias equals
        z @ (gain * matrix) + (shift @ matrix + bias).
        """
        gain, shift = self.weights[norm], self.weights[f"{norm}_bias"]
        return np.ascontiguousarray(gain[:, None] * matrix), shift @ matrix + bias

    def _layer(self, n: int) -> tuple[np.ndarray, ...]:
        """Matrix and bias of query-key-value, output, up and down of layer n.

        The queries carry the factor 1 / sqrt(head width) of the attention. What is
        added to the hidden states is centred, as the norms would do it.
        """
        w = self.weights
        qkv, bias = self._after_norm(
            f"{n}_norm1", w[f"{n}_attention.qkv"], w[f"{n}_attention.qkv_bias"]
        )
        factor = np.ones(3 * self.size.width, np.float32)
        factor[: self.size.width] = (self.size.width // self.size.heads) ** -0.5
        added = ("attention.out", "attention.out_bias", "down", "down_bias")
        out, out_bias, down, down_bias = (centred(w[f"{n}_{name}"]) for name in added)
        up = self._after_norm(f"{n}_norm2", w[f"{n}_up"], w[f"{n}_up_bias"])
        return (qkv * factor, bias * factor, out, out_bias, *up, down, down_bias)

    def new_cache(self) -> Cache:
        """An empty cache for next_logits and logits."""
        return Cache(self.size)

    def logits(self, tokens: Sequence[int], cache: Cache | None = None) -> np.ndarray:
        """Logits after each token: float32, (n, tokens).

        Args:
            tokens: token numbers; with a cache, those that follow what it holds.
            cache: keys and values of what was read before; it is extended.

        Raises:
            InputError: no token, or more than the context holds.

        """
        matrix, bias = self._write
        return normalised(self._read(tokens, cache)) @ matrix + bias

    def next_logits(
        self, tokens: Sequence[int], cache: Cache | None = None
    ) -> np.ndarray:
        """The last row of logits only: float32, (tokens,)."""
        matrix, bias = self._write
        return normalised(self._read(tokens, cache)[-1:])[0].dot(matrix) + bias

    def _read(self, tokens: Sequence[int], cache: Cache | None) -> np.ndarray:
        """Hidden states of new tokens after the last layer: float32, (n, width).

        For one token, the overhead of each call of NumPy is most of the time: so few
        calls, and dot(), which has less of it than @.
        """
        cache = Cache(self.size) if cache is None else cache
        start, end = cache.length, cache.length + len(tokens)
        if not start < end <= CONTEXT:
            raise InputError(
                f"The model reads 1 to {CONTEXT} tokens in all; this would make {end}."
            )
        x = self._token[tokens] + self._place[start:end]
        split = (len(tokens), 3, self.size.heads, -1)
        for both, layer in zip(cache.both, self._layers, strict=True):
            qkv, qkv_bias, out, out_bias, up, up_bias, down, down_bias = layer
            three = normalised(x).dot(qkv) + qkv_bias
            three = three.reshape(split).transpose(1, 2, 0, 3)
            both[:, :, start:end] = three[1:]
            x = x + attend(three[0], *both[:, :, :end]).dot(out) + out_bias
            x = x + gelu(normalised(x).dot(up) + up_bias).dot(down) + down_bias
        cache.length = end
        return x

    def _masks(self) -> np.ndarray:
        """0 where the grammar allows a token, else -inf: (frame so far, tokens)."""
        frame = self.tokeniser.frame
        masks = np.full((len(frame) + 1, len(self.tokeniser)), -np.inf, np.float32)
        masks[0, frame[0]] = masks[-1, self.tokeniser.END] = 0
        for written in range(1, len(frame)):
            masks[written, [*self.tokeniser.value_tokens, frame[written]]] = 0
        return masks

    def generate(
        self,
        text: str,
        max_tokens: int = 64,
        temperature: float = 0.0,
        top_p: float = 1.0,
        stop: str | Sequence[str] = (),
        seed: int | None = None,
        grammar: bool = False,
    ) -> Iterator[Step]:
        """Write the record of a text, token by token as each is computed.

        Args:
            text: a raw work order.
            max_tokens: how many to write at most.
            temperature: 0 takes the likeliest token; else logits are divided by it.
            top_p: sample from the likeliest tokens that reach this probability.
            stop: strings that end the output; they are not part of it.
            seed: of the sampling; the same seed gives the same text.
            grammar: allow only tokens that continue a valid record.

        Raises:
            InputError: a setting out of range, or a text that encode_text refuses.

        """
        stop = [stop] if isinstance(stop, str) else list(stop)
        _check_settings(max_tokens, temperature, top_p, stop)
        prompt = self.tokeniser.encode_text(text)
        rng = np.random.default_rng(seed)
        steps = self._steps(prompt, max_tokens, temperature, top_p, rng, grammar)
        return until_stop(steps, stop)

    def _steps(
        self,
        tokens: list[int],
        max_tokens: int,
        temperature: float,
        top_p: float,
        rng: np.random.Generator,
        grammar: bool,
    ) -> Iterator[Step]:
        """The loop of generation: logits, choose, yield, append."""
        cache, new, written = Cache(self.size), tokens, []
        limit = min(max_tokens, CONTEXT - len(tokens))
        decoder = getincrementaldecoder("utf-8")("replace")
        while len(written) < limit:
            logits = self.next_logits(new, cache)
            allowed = logits + self._allowed(written) if grammar else logits
            token = choose(allowed, temperature, top_p, rng)
            written.append(token)
            new = [token]
            end = token == self.tokeniser.END
            finish = "stop" if end else "length" if len(written) == limit else ""
            text = decoder.decode(self.tokeniser.pieces[token], final=bool(finish))
            yield self._step(token, text, logits, finish)
            if finish:
                return

    def _allowed(self, written: list[int]) -> np.ndarray:
        """0 for tokens the grammar allows next, -inf for others: float32, (tokens,)."""
        frame = self.tokeniser.frame
        places = [place for place, token in enumerate(written) if token in frame]
        mask = self._grammar[len(places)]
        if places and len(written) - places[-1] > VALUE_TOKENS:
            mask = np.where(np.arange(len(mask)) == frame[len(places)], 0, -np.inf)
        return mask

    def _step(self, token: int, text: str, logits: np.ndarray, finish: str) -> Step:
        """The token's text, its log probability, and the likeliest tokens."""
        logs = log_softmax(logits)
        best = np.argpartition(logs, -TOP)[-TOP:]
        best = best[np.argsort(-logs[best])]
        decode = self.tokeniser.decode
        top = tuple((decode([number]), float(logs[number])) for number in best)
        return Step(text, float(logs[token]), top, finish)

    def write_record(self, text: str) -> dict[str, str]:
        """The likeliest record (greedy), always with the four fields.

        Raises:
            InputError: a text that encode_text refuses.

        """
        steps = self.generate(text, grammar=True)
        return json.loads("".join(step.token for step in steps))


def weight_shapes(tokens: int, size: Size) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all arrays of the model."""
    d = size.width
    shapes = {"token": (tokens, d), "place": (CONTEXT, d)}
    shapes |= {"norm": (d,), "norm_bias": (d,)}
    for n in range(size.layers):
        for name in ("norm1", "norm2"):
            shapes |= {f"{n}_{name}": (d,), f"{n}_{name}_bias": (d,)}
        for name, wide, narrow in (
            ("attention.qkv", d, 3 * d),
            ("attention.out", d, d),
            ("up", d, 4 * d),
            ("down", 4 * d, d),
        ):
            shapes |= {f"{n}_{name}": (wide, narrow), f"{n}_{name}_bias": (narrow,)}
    return shapes


def centred(weights: np.ndarray) -> np.ndarray:
    """Rows (the last axis) with their mean subtracted: float32, same shape.

    All that is added to the hidden states is centred once, so that their mean is 0 and
    the normalisations, which would subtract it, need not.
    """
    return weights - weights.mean(-1, keepdims=True)


def normalised(x: np.ndarray) -> np.ndarray:
    """Rows of mean 0 to variance 1 (Ba, Kiros & Hinton 2016): float32, (n, width)."""
    if len(x) == 1:  # plain numbers are quicker than arrays of one
        return x / sqrt(float(x[0].dot(x[0])) / x.shape[-1] + EPSILON)
    squares = np.vecdot(x, x)[:, None]
    return x / np.sqrt(squares * np.float32(1 / x.shape[-1]) + np.float32(EPSILON))


def attend(q: np.ndarray, keys: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Causal attention: each new token looks at itself and at all before it.

    Args:
        q: queries of the n new tokens, scaled: (heads, n, head width).
        keys: of all m tokens so far, the new ones last: (heads, m, head width).
        values: of the same tokens and shape.

    Returns:
        Weighted means of values, heads side by side: float32, (n, width).

    Source: Vaswani et al. 2017, section 3.2.

    """
    scores = q @ keys.transpose(0, 2, 1)
    new, known = scores.shape[1:]
    if new > 1:
        later = np.arange(known) > np.arange(known - new, known)[:, None]
        scores[:, later] = -np.inf
    scores -= np.maximum.reduce(scores, -1, keepdims=True)
    np.exp(scores, out=scores)
    mixed = scores @ values
    mixed /= np.add.reduce(scores, -1, keepdims=True)
    return mixed.transpose(1, 0, 2).reshape(new, -1)


def gelu(x: np.ndarray) -> np.ndarray:
    """Gaussian error linear unit, tanh form (Hendrycks & Gimpel 2016, section 2)."""
    inside = x * x
    inside *= 0.7978845608 * 0.044715
    inside += 0.7978845608  # the square root of 2 / pi
    inside *= x
    np.tanh(inside, out=inside)
    inside += 1
    inside *= x
    inside *= 0.5
    return inside


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Natural logarithms of probabilities that sum to one: float64, (tokens,)."""
    shifted = logits.astype(np.float64) - logits.max()
    return shifted - np.log(np.exp(shifted).sum())


def distribution(logits: np.ndarray, temperature: float, top_p: float) -> np.ndarray:
    """Probabilities to sample from: float64, (tokens,).

    Logits are divided by the temperature; then only the nucleus stays, the fewest
    likeliest tokens whose probabilities reach top_p (Holtzman et al. 2020, The Curious
    Case of Neural Text Degeneration).
    """
    probabilities = np.exp(log_softmax(logits.astype(np.float64) / temperature))
    order = np.argsort(-probabilities, kind="stable")
    reached = np.cumsum(probabilities[order])
    outside = order[1:][reached[:-1] >= top_p]
    probabilities[outside] = 0
    return probabilities / probabilities.sum()


def choose(
    logits: np.ndarray, temperature: float, top_p: float, rng: np.random.Generator
) -> int:
    """One token: the likeliest at temperature 0, else drawn from the distribution."""
    if temperature < 1e-6:  # dividing by less could overflow
        return int(logits.argmax())
    probabilities = distribution(logits, temperature, top_p)
    return int(rng.choice(len(probabilities), p=probabilities))


def until_stop(steps: Iterator[Step], stop: Sequence[str]) -> Iterator[Step]:
    """Steps up to the first stop string; text that may begin one is held back."""
    waiting: list[Step] = []
    for step in steps:
        waiting.append(step)
        text = "".join(item.token for item in waiting)
        found = [text.find(string) for string in stop if string in text]
        if found:
            yield from _cut(waiting, min(found))
            return
        begun = max(
            (n for s in stop for n in range(len(s)) if text.endswith(s[:n])), default=0
        )
        while waiting and len(text) - len(waiting[0].token) >= begun:
            text = text[len(waiting[0].token) :]
            yield waiting.pop(0)
    yield from waiting


def _cut(steps: Sequence[Step], length: int) -> Iterator[Step]:
    """Steps of so many characters in all; the last one says "stop"."""
    for step in steps:
        last = len(step.token) >= length
        finish = "stop" if last else ""
        yield step._replace(token=step.token[:length], finish=finish)
        length -= len(step.token)
        if last:
            return


def _check_settings(
    max_tokens: int, temperature: float, top_p: float, stop: Sequence[str]
) -> None:
    """Raise InputError for settings that cannot be used."""
    if not isinstance(max_tokens, int) or max_tokens < 1:
        raise InputError(f"max_tokens={max_tokens!r} must be a whole number from 1 on.")
    if not 0 <= temperature <= 2:
        raise InputError(f"temperature={temperature} must be between 0 and 2.")
    if not 0 < top_p <= 1:
        raise InputError(f"top_p={top_p} must be above 0 and at most 1.")
    if not all(isinstance(string, str) and string for string in stop):
        raise InputError(f"stop={stop} must be strings that are not empty.")


# Scores, saving and loading --------------------------------------------------------


def record_loss(model: WorkorderGPT, text: str, record: dict[str, str]) -> np.ndarray:
    """Minus the log probability of each token of a given record: float64, (n,)."""
    prompt = model.tokeniser.encode_text(text)
    answer = model.tokeniser.encode_record(record)
    logits = model.logits(prompt + answer[:-1])[len(prompt) - 1 :]
    return np.array(
        [-log_softmax(row)[token] for row, token in zip(logits, answer, strict=True)]
    )


def score(model: WorkorderGPT, orders: pd.DataFrame) -> dict[str, float]:
    """How well records are written for the last 20 % of the orders by time.

    Returns:
        Accuracy of each field and of "record" (all four right); "loss", the mean over
        all tokens of the right records, and "perplexity", its exponential.

    """
    _, test = split_all(orders)
    truth = records(test)
    written = [model.write_record(text) for text in test["text"]]
    pairs = list(zip(written, truth, strict=True))
    result = {
        field: float(np.mean([a[field] == b[field] for a, b in pairs]))
        for field in FIELDS
    }
    result["record"] = float(np.mean([a == b for a, b in pairs]))
    losses = [
        record_loss(model, text, record)
        for text, record in zip(test["text"], truth, strict=True)
    ]
    result["loss"] = float(np.concatenate(losses).mean())
    result["perplexity"] = float(np.exp(result["loss"]))
    return result


def from_keras(model, tokeniser: Tokeniser) -> WorkorderGPT:
    """The NumPy twin of a network from train_gpt or build_gpt."""
    weights = keras_weights(model)
    layers = sum(name.endswith("qkv") for name in weights)
    heads = model.get_layer("0_attention").num_heads
    size = Size(weights["token"].shape[1], layers, heads)
    return WorkorderGPT(tokeniser, weights, size)


def save_gpt(model: WorkorderGPT, path: Path = FILE) -> None:
    """Write the arrays, as float16, and a JSON card into one file; all or nothing."""
    card = {
        "size": model.size._asdict(),
        "names": model.tokeniser.names,
        "words": model.tokeniser.words,
        "data_sha256": CSV_SHA256,
    }
    arrays = {name: array.astype(np.float16) for name, array in model.weights.items()}
    arrays["card"] = np.frombuffer(json.dumps(card).encode(), np.uint8)
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        with open(temporary, "wb") as file:
            np.savez_compressed(file, **arrays)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load_gpt(path: Path = FILE) -> WorkorderGPT:
    """Load the trained workorder-gpt; nothing is trained.

    Raises:
        ModelError: the file is missing or damaged.

    """
    try:
        with np.load(path, allow_pickle=False) as saved:
            arrays = {name: saved[name] for name in saved.files}
        card = json.loads(arrays.pop("card").tobytes().decode())
        tokeniser = Tokeniser(card["names"], card["words"])
        size = Size(**card["size"])
    except Exception as error:  # a damaged file raises many kinds, BadZipFile first
        raise ModelError(
            f"The model in {path} cannot be loaded: {error}. It belongs to the "
            f"repository: restore it with git restore {path.parent.name}/{path.name}, "
            f"or make it anew with {COMMAND} (a minute or two)."
        ) from error
    weights = {name: array.astype(np.float32) for name, array in arrays.items()}
    return WorkorderGPT(tokeniser, weights, size)


def main() -> None:
    """Train with each of SEEDS; write the first model to FILE, all scores to SCORES."""
    orders = load_orders()
    rows = []
    for seed in SEEDS:
        model = from_keras(*train_gpt(orders, seed=seed))
        rows.append({"seed": seed, **score(model, orders)})
        if seed == SEEDS[0]:
            save_gpt(model)
    table = pd.DataFrame(rows).round(5)
    table.to_csv(SCORES, index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
