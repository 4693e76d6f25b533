"""Dynamic batching: requests that arrive together go through the model together."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from helpers.errors import InputError
from helpers.service.http_errors import overloaded

Predict = Callable[[list[str]], Sequence[Any]]


class Batcher:
    """Collects texts while the model is busy, then runs them as one batch.

    One thread runs the model; the event loop stays free to read requests. An error of
    the model reaches all callers of the batch: check each text before submitting it.
    It belongs to one running service.
    """

    def __init__(
        self, predict: Predict, size: int = 32, wait: float = 0.0, queue: int = 256
    ):
        """Batch calls of predict.

        Args:
            predict: takes a list of texts, returns as many results.
            size: texts in a batch, at most.
            wait: seconds that an incomplete batch waits for company, at most.
            queue: texts that may wait; more are refused, not kept.

        """
        if size < 1 or wait < 0 or queue < 1:
            raise InputError(f"{size=}, {wait=} and {queue=}: give 1, 0.0, 1 or more.")
        self.predict, self.size, self.wait, self.queue = predict, size, wait, queue
        self._waiting: deque[tuple[str, asyncio.Future]] = deque()
        self._thread = ThreadPoolExecutor(1, "batcher")
        self._task: asyncio.Task | None = None
        self._full = asyncio.Event()  # a whole batch waits

    @property
    def waiting(self) -> int:
        """Texts that wait for the model."""
        return len(self._waiting)

    async def submit(self, text: str) -> Any:
        """The result for one text.

        Raises:
            ServiceError: 503 at once if too many texts wait already.

        """
        if len(self._waiting) >= self.queue:
            raise overloaded(f"{self.queue} orders are waiting already.")
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((text, future))
        if len(self._waiting) >= self.size:
            self._full.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        try:
            return await future
        except asyncio.CancelledError:  # its client has left, or its time is over
            with contextlib.suppress(ValueError):
                self._waiting.remove((text, future))
            raise

    def _run(self, texts: list[str]) -> Sequence[Any]:
        """The results for a batch, in the model's thread."""
        try:
            results = self.predict(texts)
        except StopIteration as error:  # no future can carry it: all would wait
            raise RuntimeError("The model raised StopIteration") from error
        if len(results) != len(texts):
            raise ValueError(f"{len(results)} results for {len(texts)} texts")
        return results

    async def _work(self) -> None:
        """Run batches until nobody waits."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            if self.wait and len(self._waiting) < self.size:
                self._full.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._full.wait(), self.wait)
            if not self._waiting:  # all have left during the wait
                break
            number = min(self.size, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(number)]
            texts = [text for text, _ in batch]
            try:
                results = await loop.run_in_executor(self._thread, self._run, texts)
            except Exception as error:
                results = [error] * len(batch)
            for (_, future), result in zip(batch, results, strict=True):
                if future.done():
                    continue
                if isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)
