"""The trained network in NumPy: the forward pass of chapter 06 plus a cache.

tests/helpers/test_gpt.py holds it equal to the chapter's decoder and to Keras. For one
token, calling NumPy takes most of the time: few calls, and dot(), quicker than @.
"""

import json
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator, Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np

from helpers.errors import InputError
from helpers.gpt.sampling import TOP, Step, choose, log_softmax, until_stop
from helpers.gpt.tokenizer import Tokenizer

CONTEXT = 128  # tokens the model can look back on, the record included
VALUE_TOKENS = 12  # of one field; the longest in the data has 9
EPSILON = 1e-5  # of the layer normalisation


class Size(NamedTuple):
    """Shape of the network; a head is width / heads wide."""

    width: int = 64
    layers: int = 2
    heads: int = 4


class Cache:
    """Keys and values of the tokens read so far.

    tables: float32, (layers, 2 for keys and values, heads, CONTEXT, head width).
    """

    def __init__(self, size: Size):
        """Make room for CONTEXT tokens."""
        shape = (size.layers, 2, size.heads, CONTEXT, size.width // size.heads)
        self.tables = np.empty(shape, np.float32)
        self.length = 0


class WorkorderGPT:
    """Text in, a record out, one token at a time."""

    def __init__(
        self, tokenizer: Tokenizer, weights: dict[str, np.ndarray], size: Size
    ):
        """Take weights with the names that from_keras gives them."""
        self.tokenizer, self.weights, self.size = tokenizer, weights, size
        self.parameters = sum(array.size for array in weights.values())
        self._layers = [
            {name[2:]: weights[name] for name in weights if name.startswith(f"{n}_")}
            for n in range(size.layers)
        ]

    def logits(self, ids: Sequence[int], cache: Cache | None = None) -> np.ndarray:
        """Logits after each token: float32, (n, tokens).

        Args:
            ids: of tokens; with a cache, those that follow what it holds.
            cache: keys and values of what was read before; it is extended.

        Raises:
            InputError: no token, or more than the context holds.

        """
        cache = cache or Cache(self.size)
        start, end = cache.length, cache.length + len(ids)
        if not start < end <= CONTEXT:
            raise InputError(
                f"The model reads 1 to {CONTEXT} tokens in all; this would make {end}."
            )
        w = self.weights
        x = w["token"][ids] + w["place"][start:end]
        for layer, known in zip(self._layers, cache.tables, strict=True):
            x = x + self._attention(x, layer, known[:, :, :end])
            z = layer_norm(x, layer["norm2"], layer["norm2_bias"])
            inside = gelu(z.dot(layer["up"]) + layer["up_bias"])
            x = x + inside.dot(layer["down"]) + layer["down_bias"]
        cache.length = end
        return layer_norm(x, w["norm"], w["norm_bias"]).dot(w["token"].T)

    def _attention(self, x: np.ndarray, w: dict, known: np.ndarray) -> np.ndarray:
        """Causal attention (Vaswani et al. 2017): each token looks back, and at itself.

        Args:
            x: hidden states of n new tokens, (n, width).
            w: arrays of the layer.
            known: keys and values of all m tokens so far, (2, heads, m, head width);
                those of x are written to its end.

        """
        z = layer_norm(x, w["norm1"], w["norm1_bias"])
        qkv = z.dot(w["attention.qkv"]) + w["attention.qkv_bias"]
        qkv = qkv.reshape(len(x), 3, self.size.heads, -1).transpose(1, 2, 0, 3)
        known[:, :, -len(x) :] = qkv[1:]
        keys, values = known
        scores = qkv[0] @ keys.swapaxes(1, 2) / sqrt(keys.shape[-1])
        if len(x) > 1:
            places = np.arange(scores.shape[-1])
            scores[:, places > places[-len(x) :, None]] = -np.inf  # later ones
        scores -= np.maximum.reduce(scores, -1, keepdims=True)
        share = np.exp(scores, out=scores)
        mixed = share @ values / np.add.reduce(share, -1, keepdims=True)
        mixed = mixed.transpose(1, 0, 2).reshape(x.shape)
        return mixed.dot(w["attention.out"]) + w["attention.out_bias"]

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
        usable = isinstance(max_tokens, int) and max_tokens > 0
        usable = usable and 0 <= temperature <= 2 and 0 < top_p <= 1
        if not usable or not all(isinstance(s, str) and s for s in stop):
            raise InputError(
                f"Not usable: {max_tokens=}, {temperature=}, {top_p=}, {stop=}. Take a "
                "whole number from 1 on, a temperature from 0 to 2, a top_p above 0 "
                "and at most 1, and stop strings that are not empty."
            )
        prompt = self.tokenizer.encode_text(text)
        limit = min(max_tokens, CONTEXT - len(prompt))
        rng = np.random.default_rng(seed)

        def pick(logits: np.ndarray, written: list[int]) -> int:
            allowed = self._allowed(logits, written) if grammar else logits
            return choose(allowed, temperature, top_p, rng)

        return until_stop(self._steps(prompt, limit, pick), stop)

    def _steps(self, prompt: list[int], limit: int, pick: Callable) -> Iterator[Step]:
        """The loop of generation: logits, pick, yield, append."""
        tokenizer, cache, new, written = self.tokenizer, Cache(self.size), prompt, []
        decoder, finish = getincrementaldecoder("utf-8")("replace"), ""
        while not finish:
            logits = self.logits(new, cache)[-1]
            token = pick(logits, written)
            new, written = [token], [*written, token]
            limited = "length" if len(written) == limit else ""
            finish = "stop" if token == tokenizer.END else limited
            text = decoder.decode(tokenizer.pieces[token], final=bool(finish))
            logs = log_softmax(logits)
            best = sorted(np.argpartition(-logs, TOP)[:TOP], key=lambda i: -logs[i])
            top = tuple((tokenizer.decode([id_]), float(logs[id_])) for id_ in best)
            yield Step(text, float(logs[token]), top, finish)

    def _allowed(self, logits: np.ndarray, written: list[int]) -> np.ndarray:
        """Logits with -inf for tokens that cannot continue a record."""
        frame = [*self.tokenizer.frame, self.tokenizer.END]
        places = [place for place, token in enumerate(written) if token in frame]
        allowed = np.full_like(logits, -np.inf)
        next_frame = frame[len(places)]
        allowed[next_frame] = logits[next_frame]
        in_value = 0 < len(places) < len(self.tokenizer.frame)
        if in_value and len(written) - places[-1] <= VALUE_TOKENS:
            ids = self.tokenizer.value_ids
            allowed[ids] = logits[ids]
        return allowed

    def write_record(self, text: str) -> dict[str, str]:
        """The record of the likeliest token each time (greedy), always four fields.

        Raises:
            InputError: a text that encode_text refuses.

        """
        steps = self.generate(text, grammar=True)
        return json.loads("".join(step.token for step in steps))


def layer_norm(x: np.ndarray, gain: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Rows to mean 0 and variance 1 (Ba, Kiros & Hinton 2016): float32, (n, width)."""
    if len(x) == 1:  # one token: a row and plain numbers take half the time
        row = x[0] - float(np.add.reduce(x[0])) / gain.size
        spread = sqrt(float(row.dot(row)) / gain.size + EPSILON)
        return (row / spread * gain + shift)[None]
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON) * gain + shift


def gelu(x: np.ndarray) -> np.ndarray:
    """Gaussian error linear unit, tanh form (Hendrycks & Gimpel 2016, section 2)."""
    inside = x * (0.7978845608 + 0.0356774081 * x * x)  # the root of 2 / pi, and
    return 0.5 * x * (1 + np.tanh(inside))  # 0.044715 times it
