"""Dynamic batching: requests that arrive together go through the model together."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from helpers.errors import InputError
from helpers.service.errors import ServiceError

Predict = Callable[[list[str]], Sequence[Any]]


class Batcher:
    """Collects texts while the model is busy, then runs them as one batch.

    One thread runs the model; the event loop stays free to read requests. An error of
    the model reaches all callers of the batch: check each text before submitting it.
    """

    def __init__(
        self, predict: Predict, size: int = 32, wait: float = 0.0, queue: int = 256
    ):
        """Batch calls of predict.

        Args:
            predict: takes a list of texts, returns as many results.
            size: texts in a batch, at most.
            wait: seconds that an incomplete batch waits for company.
            queue: texts that may wait; more are refused, not kept.

        """
        if size < 1 or wait < 0 or queue < 1:
            raise InputError(f"{size=}, {wait=} and {queue=}: give 1, 0.0, 1 or more.")
        self.predict, self.size, self.wait, self.queue = predict, size, wait, queue
        self.batches: deque[int] = deque(maxlen=10_000)  # sizes of the last ones
        self._waiting: deque[tuple[str, asyncio.Future]] = deque()
        self._thread = ThreadPoolExecutor(1, "batcher")
        self._task: asyncio.Task | None = None

    async def submit(self, text: str) -> Any:
        """The result for one text.

        Raises:
            ServiceError: 503 at once if too many texts wait already.

        """
        if len(self._waiting) >= self.queue:
            raise ServiceError(
                503,
                f"{self.queue} orders are waiting already. Try again in a second.",
                "overloaded",
                kind="server_error",
                headers={"retry-after": "1"},
            )
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((text, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        """Run batches until nobody waits."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            if self.wait and len(self._waiting) < self.size:
                await asyncio.sleep(self.wait)
            batch = [
                self._waiting.popleft()
                for _ in range(min(self.size, len(self._waiting)))
            ]
            batch = [(text, future) for text, future in batch if not future.done()]
            if not batch:  # their clients have left
                continue
            texts = [text for text, _ in batch]
            self.batches.append(len(batch))
            try:
                results = await loop.run_in_executor(self._thread, self.predict, texts)
                if len(results) != len(batch):
                    raise ValueError(f"{len(results)} results for {len(batch)} texts")
            except Exception as error:
                results = [error] * len(batch)
            for (_, future), result in zip(batch, results, strict=True):
                if future.done():
                    continue
                if isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)
