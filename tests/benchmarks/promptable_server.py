"""The course's promptable model behind plain FastAPI: what a service costs at least.

python tests/benchmarks/promptable_server.py --port N
No keys, no limits, no log, no metrics; the same reading, model and answer as ours.
"""

import argparse

import uvicorn
from fastapi import FastAPI

from helpers.promptable import load_promptable
from helpers.service.backends.prompted import answer
from helpers.service.requests import ChatRequest
from helpers.service.responses import chat


def application() -> FastAPI:
    """One route; what is wrong in a request becomes a 422 or a 500."""
    app, model = FastAPI(), load_promptable()

    @app.post("/v1/chat/completions")
    async def completions(body: ChatRequest) -> dict:
        return chat(body, answer(model, body.as_prompt()))

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    uvicorn.run(
        application(),
        host="127.0.0.1",
        port=options.port,
        log_level="error",
        access_log=False,
        timeout_keep_alive=75,  # as ours; else a pause in the test breaks it off
    )
