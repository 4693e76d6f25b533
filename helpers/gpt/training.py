"""Training with Keras, and the score of what was trained."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from helpers.gpt.inference import CONTEXT, EPSILON, Size, WorkorderGPT
from helpers.gpt.sampling import log_softmax
from helpers.gpt.tokenizer import FIELDS, Tokenizer, records, split_all

if TYPE_CHECKING:
    import keras

EPOCHS, BATCH, RATE, DECAY, SPELL = 5, 32, 5e-3, 0.1, 0.05


def build_gpt(tokens: int, size: Size = Size()) -> "keras.Model":  # noqa: B008
    """The network in Keras, not compiled.

    Blocks with the normalisation first (Radford et al. 2019) and GELU (Hendrycks &
    Gimpel 2016); one table both for reading and for writing tokens (Press & Wolf 2017).

    Returns:
        Token ids, int32, (batch, n) in, logits, float32, (batch, n, tokens) out.

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
        Ids, the id that follows each, and its weight in the loss (1 in the
        record, 0 in the text and the padding), each (batch, n).

    """
    from helpers.lstm import keras

    rows = [prompt + answer for prompt, answer in zip(prompts, answers, strict=True)]
    mixed = rng.permutation(len(rows))
    by_length = mixed[np.argsort([len(rows[n]) // 4 for n in mixed], kind="stable")]
    parts = [by_length[n : n + BATCH] for n in range(0, len(rows), BATCH)]
    for part in rng.permutation(np.arange(len(parts))):
        chosen = parts[part]
        table = keras.utils.pad_sequences([rows[n] for n in chosen], padding="post")
        begin = np.array([len(prompts[n]) for n in chosen])[:, None]
        in_record = (np.arange(table.shape[1]) >= begin) & (table != Tokenizer.PAD)
        yield table[:, :-1], table[:, 1:], in_record[:, 1:].astype(np.float32)


def training_step(model, steps: int):
    """A function (ids, next ids, weights) -> loss that trains the model on one batch.

    Args:
        model: from build_gpt.
        steps: how many there will be, for the step size: it rises, then falls.

    Source: AdamW: Loshchilov & Hutter 2019, Decoupled Weight Decay Regularization, with
    the decay of Brown et al. 2020 (appendix B) and beta_2 of Vaswani et al. 2017.

    """
    from helpers.lstm import keras, tf

    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=RATE, warmup_steps=steps // 10
    )
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction="mean_with_sample_weight"
    )
    optimizer = keras.optimizers.AdamW(rate, DECAY, beta_2=0.98)
    optimizer.build(model.trainable_variables)
    ids, weights = tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None])

    # One graph for batches of all shapes; train_on_batch would make one for each.
    @tf.function(input_signature=[ids, ids, weights], jit_compile=False)
    def step(x, y, weight):
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=True), weight)
        gradients = tape.gradient(value, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return value

    return step


def train_gpt(
    orders: pd.DataFrame,
    size: Size = Size(),  # noqa: B008
    epochs: int = EPOCHS,
    seed: int = 0,
):
    """Train on the first 80 % of the orders by time, with teacher forcing.

    Args:
        orders: all of them, from load_orders; the last 20 % are left for score.
        size: of the network.
        epochs: passes over the orders.
        seed: of weights and order.

    Returns:
        The Keras model, its Tokenizer, and the mean loss of each epoch.

    """
    from helpers.lstm import keras

    learn, _ = split_all(orders)
    tokenizer = Tokenizer.fit(learn)
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    model = build_gpt(len(tokenizer), size)
    step = training_step(model, epochs * -(-len(learn) // BATCH))
    answers = [tokenizer.encode_record(record) for record in records(learn)]
    losses = []
    for _ in range(epochs):
        prompts = [tokenizer.encode_text(t, SPELL, rng) for t in learn["text"]]
        epoch = [step(*batch) for batch in batches(prompts, answers, rng)]
        losses.append(float(np.mean(epoch)))
    return model, tokenizer, losses


def from_keras(model, tokenizer: Tokenizer) -> WorkorderGPT:
    """The NumPy twin of a network from build_gpt.

    Its weights have the names of the layers; the matrices of queries, keys and values
    become one, (width, 3 * width).
    """
    weights: dict[str, np.ndarray] = {}
    for layer in model.layers:
        arrays, name = layer.get_weights(), layer.name
        if "attention" in name:
            width = len(arrays[0])
            qkv = [array.reshape(-1, width) for array in arrays[:6]]  # and their biases
            weights[f"{name}.qkv"] = np.hstack(qkv[::2])
            weights[f"{name}.qkv_bias"] = np.hstack(qkv[1::2])[0]
            name, arrays = f"{name}.out", [arrays[6].reshape(width, width), arrays[7]]
        weights.update(zip((name, f"{name}_bias"), arrays, strict=False))
    attention = [layer for layer in model.layers if "attention" in layer.name]
    size = Size(len(weights["norm"]), len(attention), attention[0].num_heads)
    return WorkorderGPT(tokenizer, weights, size)


def record_loss(model: WorkorderGPT, text: str, record: dict[str, str]) -> np.ndarray:
    """Minus the log probability of each token of a given record: float64, (n,)."""
    prompt = model.tokenizer.encode_text(text)
    answer = model.tokenizer.encode_record(record)
    logits = model.logits(prompt + answer[:-1])[len(prompt) - 1 :]
    return -log_softmax(logits)[np.arange(len(answer)), answer]


def score(model: WorkorderGPT, orders: pd.DataFrame) -> dict[str, float]:
    """How well records are written for the last 20 % of the orders by time.

    Returns:
        Accuracy of each field and of "record" (all four right); "loss", the mean over
        all tokens of the right records, and "perplexity", its exponential.

    """
    _, test = split_all(orders)
    truth = pd.DataFrame(records(test))
    written = pd.DataFrame([model.write_record(text) for text in test["text"]])
    right = written[list(FIELDS)] == truth
    pairs = zip(test["text"], records(test), strict=True)
    loss = np.concatenate([record_loss(model, *pair) for pair in pairs]).mean()
    accuracy = {**right.mean(), "record": right.all(axis=1).mean()}
    return accuracy | {"loss": float(loss), "perplexity": float(np.exp(loss))}
