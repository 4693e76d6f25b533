"""python -m helpers.gpt: train all widths and seeds, write FILE and RUNS."""

import pandas as pd

from helpers import load_orders
from helpers.gpt import FILE, RUNS, Size, from_keras, save_gpt, score, train_gpt

SEEDS = (0, 1, 2)
WIDTHS = (16, 32, 64)


def main() -> None:
    """Train, save the first model of standard size, and store every loss and score."""
    orders = load_orders()
    rows = []
    for size in map(Size, WIDTHS):
        for seed in SEEDS:
            network, tokenizer, losses = train_gpt(orders, size, seed=seed)
            model = from_keras(network, tokenizer)
            row = {"width": size.width, "seed": seed, "parameters": model.parameters}
            row |= {f"epoch {n}": loss for n, loss in enumerate(losses, start=1)}
            rows.append(row | score(model, orders))
            if (size, seed) == (Size(), SEEDS[0]):
                save_gpt(model, FILE)
    table = pd.DataFrame(rows).round(5)
    table.to_csv(RUNS, index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
