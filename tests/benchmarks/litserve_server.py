"""The course's promptable model behind LitServe: the other side of the comparison.

python tests/benchmarks/litserve_server.py --port N [--batch 32] [--fast-queue]
"""

import argparse

import litserve
from litserve.specs.openai import ChatCompletionRequest

from helpers.promptable import load_promptable
from helpers.service.backends.prompted import answer
from helpers.service.generation import Prompt


class PromptableAPI(litserve.LitAPI):
    """Same model, same reading of the request, same answer as helpers.service."""

    def setup(self, device: str) -> None:
        """Load the model, in the process that answers."""
        self.promptable = load_promptable()

    def decode_request(self, request: ChatCompletionRequest) -> Prompt:
        """The request as our service reads it."""
        texts = [(message.role, message.content) for message in request.messages]
        instructions = "\n".join(text for role, text in texts if role == "system")
        turns = tuple((role, text) for role, text in texts if role != "system")
        schema = request.response_format.json_schema.schema_
        return Prompt(instructions, turns, schema)

    def predict(self, prompt: Prompt):
        """One answer."""
        yield self._said(prompt)

    def _said(self, prompt: Prompt) -> dict:
        said = answer(self.promptable, prompt)
        read, written = said.input_tokens, len(said.steps)
        usage = {"prompt_tokens": read, "completion_tokens": written}
        usage["total_tokens"] = read + written
        return {"role": "assistant", "content": said.text, **usage}


class BatchedAPI(PromptableAPI):
    """The same in batches; a list of answers for a list of requests."""

    def predict(self, prompts: list[Prompt]):
        """One answer for each request of the batch."""
        yield [self._said(prompt) for prompt in prompts]

    def unbatch(self, output):
        """LitServe's spec asks for a generator of lists."""
        yield from output

    def encode_response(self, outputs):
        """As it is."""
        yield from outputs


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--fast-queue", action="store_true")
    options = parser.parse_args()
    spec = litserve.OpenAISpec()
    if options.batch > 1:
        api = BatchedAPI(max_batch_size=options.batch, batch_timeout=0.002, spec=spec)
    else:
        api = PromptableAPI(spec=spec)
    server = litserve.LitServer(api, accelerator="cpu", fast_queue=options.fast_queue)
    server.run(
        host="127.0.0.1",
        port=options.port,
        log_level="error",
        generate_client_file=False,
    )
