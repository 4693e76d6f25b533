"""One window through a function and through the service, as a ratio.

python -m pytest -n 0 tests/benchmarks -s. The two sides alternate; see test_speed.py.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_speed import ratio

from helpers import service
from helpers.service.backends.classifier import Classifier


def test_a_function_is_quicker_than_the_service_around_it():
    """Chapter 12, section 10: eighteen numbers, the same logistic regression."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2_000, 18))
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, x[:, 0] > 0)
    one, text = x[:1], " ".join(f"{value:.6f}" for value in x[0])

    def probabilities(texts):
        return model.predict_proba(np.array([text.split() for text in texts], float))

    plant = service.start()
    try:
        plant.models.add(Classifier("wear", probabilities, ["run", "stop"]))
        client = plant.client(max_retries=0)

        def ask():
            return client.responses.create(model="wear", input=text).output_text

        assert ask() == ["run", "stop"][int(model.predict(one)[0])]
        times, low, high = ratio(
            (ask, 20), (lambda: model.predict_proba(one), 100), rounds=5
        )
    finally:
        plant.stop()
    print(f"\nservice / function: {times:.0f} times ({low:.0f} to {high:.0f})")
    assert times >= 3
