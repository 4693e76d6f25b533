"""workorder-gpt: a small GPT, trained from nothing on the excavator orders.

A decoder-only Transformer (Vaswani et al. 2017, Attention Is All You Need; Radford et
al. 2018, 2019) reads the text of an order and writes a record as JSON, token by token:

    <end> seal leaking <sep> {"system": "none", "part": "Seal", ...} <end>

Keras trains it; a few lines of NumPy run it, with the same numbers. The four fields
were written by keyword rules over the same text, so a high score says that the model
has learned the rules, not that it knows excavators.
"""

# ruff: noqa: F401  these are the names for notebooks and the service
from helpers.gpt.files import FILE, RUNS, load_gpt, save_gpt
from helpers.gpt.inference import CONTEXT, EPSILON, Cache, Size, WorkorderGPT, gelu
from helpers.gpt.sampling import TOP, Step, distribution
from helpers.gpt.tokenizer import FIELDS, NONE, Tokenizer, records, split_all
from helpers.gpt.training import (
    EPOCHS,
    build_gpt,
    from_keras,
    record_loss,
    score,
    train_gpt,
)

NAME = "workorder-gpt"
