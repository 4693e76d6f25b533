"""Two processes train one network together, each on half of every batch: chapter 10.

The chapter starts it. Gradients by hand, the chapter itself being the other worker:

    python two_workers.py by-hand STEPS

Through TensorFlow, started twice, with the variable TF_CONFIG:

    python two_workers.py distribute STEPS WEIGHTS.npy

Both end when their standard input is closed: when the chapter ends, however it ends.
"""

import os
import sys
import threading

import helpers  # isort: skip  first: settings of all others

import numpy as np
import pandas as pd

from helpers.lstm import build_lstm, keras, targets, tf

BATCH = 64  # orders of a whole batch


class Replica:
    """A copy of the network: the same start and the same data in every process."""

    def __init__(self):
        """Build the network of chapter 02, and order the training orders by chance."""
        split = helpers.split_by_time(helpers.load_orders())
        learn = pd.concat([split.train, split.valid]).sample(frac=1, random_state=0)
        vocabulary = helpers.Vocabulary.fit(learn["clean"])
        self.x, self.y = vocabulary.encode(learn["clean"]), targets(learn, "crew")
        keras.utils.set_random_seed(0)
        self.model = build_lstm(len(vocabulary), len(helpers.CREWS))
        self.loss = keras.losses.SparseCategoricalCrossentropy()
        self.optimizer = keras.optimizers.Adam()
        self.optimizer.build(self.model.trainable_variables)
        self._compiled = tf.function(self._gradient, reduce_retracing=True)

    def batch(self, step, start=0, stop=BATCH):
        """Orders start to stop of the batch of this step: numbers and crews."""
        rows = slice(step * BATCH + start, step * BATCH + stop)
        return self.x[rows], self.y[rows]

    def _gradient(self, x, y):
        with tf.GradientTape() as tape:
            loss = self.loss(y, self.model(x))
        found = tape.gradient(loss, self.model.trainable_variables)
        return tf.concat([tf.reshape(tf.convert_to_tensor(g), [-1]) for g in found], 0)

    def gradient(self, x, y):
        """Gradient of the mean loss over these orders: all numbers in one row."""
        return self._compiled(tf.constant(x), tf.constant(y)).numpy()

    def apply(self, gradient):
        """One step of the optimiser with this gradient."""
        variables = self.model.trainable_variables
        ends = np.cumsum([int(np.prod(variable.shape)) for variable in variables])
        parts = np.split(gradient, ends[:-1])
        shaped = [
            part.reshape(v.shape) for part, v in zip(parts, variables, strict=True)
        ]
        self.optimizer.apply([tf.constant(part) for part in shaped], variables)

    def weights(self):
        """All weights in one row, float32."""
        return np.concatenate([w.ravel() for w in self.model.get_weights()])


def by_hand(steps):
    """The second worker: gradients come and go through the pipes of this process."""
    replica, half = Replica(), BATCH // 2
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    for step in range(steps):
        mine = replica.gradient(*replica.batch(step, half))
        theirs = np.frombuffer(source.read(mine.nbytes), np.float32)
        sink.write(mine.tobytes())
        sink.flush()
        replica.apply((mine + theirs) / 2)
    sink.write(replica.weights().tobytes())


def distribute(steps, path):
    """The same with tf.distribute: a strategy makes the copies and adds the gradients.

    model.fit does not work under this strategy in Keras 3; a loop of one's own does.
    """
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    me = strategy.cluster_resolver.task_id
    with strategy.scope():
        replica = Replica()

    @tf.function
    def train(x, y):
        def one(x, y):
            with tf.GradientTape() as tape:
                loss = replica.loss(y, replica.model(x))
            variables = replica.model.trainable_variables
            found = [tf.convert_to_tensor(g) for g in tape.gradient(loss, variables)]
            context = tf.distribute.get_replica_context()
            mean = context.all_reduce(tf.distribute.ReduceOp.MEAN, found)
            replica.optimizer.apply(mean, variables)

        strategy.run(one, (x, y))

    half = BATCH // 2
    for step in range(steps):
        x, y = replica.batch(step, me * half, (me + 1) * half)
        train(tf.constant(x), tf.constant(y))
    np.save(path, replica.weights())


def end_with_parent():
    """End this process when nobody holds the other end of its standard input."""
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    if sys.argv[1] == "by-hand":
        by_hand(int(sys.argv[2]))
    else:
        threading.Thread(target=end_with_parent, daemon=True).start()
        distribute(int(sys.argv[2]), sys.argv[3])
