"""A server that is not ours: python tests/stress/second_server.py --port N

LitServe's OpenAISpec in front of a small model that is told its task in the prompt:
pieces of words (TF-IDF) are compared with each label's name, description and examples,
and the nearest label wins. It has /v1/chat/completions only. Chapter 04 runs with it:
OPENAI_BASE_URL=http://127.0.0.1:N/v1, OPENAI_API_KEY=none and OPENAI_MODEL=second.
Linux and macOS only: it stops by ending a whole session of processes.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from helpers import CREWS, load_orders, normalise, split_by_time

try:
    import litserve
    from litserve.specs.openai import ChatCompletionRequest, ChatMessage
except ImportError:
    sys.exit("pip install -r tests/benchmarks/requirements.txt")

SCALE = 16.0  # of the cosines before the softmax


def text_of(message: ChatMessage) -> str:
    """The text of a message, whose content may come in parts."""
    if isinstance(message.content, str):
        return message.content
    return "\n".join(part.text for part in message.content or [] if part.type == "text")


def split_prompt(messages: list[ChatMessage]) -> tuple[list[str], str]:
    """The lines of the prompt, and the text; of a lone message, the last line."""
    *before, last = messages
    prompt = [line for one in before for line in text_of(one).splitlines()]
    lines = text_of(last).strip().splitlines() or [""]
    if not prompt:
        return lines[:-1], lines[-1]
    return prompt, "\n".join(lines)


class SecondModel:
    """The nearest label by TF-IDF; learned from the training orders without labels."""

    def __init__(self) -> None:
        """Learn which words are rare."""
        train = split_by_time(load_orders()).train
        self.tfidf = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=2)
        self.tfidf.fit(train["clean"])

    def probabilities(
        self, lines: list[str], text: str, labels: list[str]
    ) -> np.ndarray:
        """Softmax of the cosines between the text and what is said of each label."""
        said = {label: [label.replace("_", " ")] for label in labels}
        for line in map(str.strip, lines):
            example, arrow, label = line.partition("=>")
            if arrow and label.strip() in said:
                said[label.strip()].append(example)
            name, colon, description = line.lstrip("-* ").partition(":")
            if colon and name.strip() in said:
                said[name.strip()] += [description] * 4
        sums = [
            np.asarray(self.tfidf.transform(map(normalise, s)).sum(0))[0]
            for s in said.values()
        ]
        sums = np.array(sums) / np.maximum(np.linalg.norm(sums, axis=1), 1e-9)[:, None]
        cosines = self.tfidf.transform([normalise(text)]) @ sums.T
        odds = np.exp(SCALE * cosines[0])
        return odds / odds.sum()

    def answer(self, lines: list[str], text: str, schema: dict | None) -> str:
        """Fill the fields of the schema; without one, name a label of the prompt."""
        if schema is None:
            listed = [line.lstrip("-* ").partition(":")[0] for line in lines]
            labels = [name for name in listed if name in CREWS] or CREWS
            return labels[int(self.probabilities(lines, text, labels).argmax())]
        filled, surest = {}, 1.0
        for name, what in schema.get("properties", {}).items():
            what = schema.get("$defs", {}).get(what.get("$ref", "")[8:], what)
            labels = what.get("enum")
            if labels:
                chances = self.probabilities(lines, text, labels)
                filled[name] = labels[int(chances.argmax())]
                surest = min(surest, float(chances.max()))
            elif what.get("type") == "number":
                filled[name] = None  # the confidence: known when all labels are chosen
            elif what.get("type") == "boolean":
                yes_no = self.probabilities(lines, text, ["no", "yes"])
                filled[name] = bool(yes_no.argmax())
            else:
                filled[name] = "I only classify."
        filled = {k: round(surest, 4) if v is None else v for k, v in filled.items()}
        return json.dumps(filled)


class SecondAPI(litserve.LitAPI):
    """LitServe's frame around the model."""

    def setup(self, device: str) -> None:
        """Train, in the process that answers."""
        self.second = SecondModel()

    def decode_request(self, request: ChatCompletionRequest) -> tuple:
        """Prompt, text and schema."""
        form = request.response_format
        schema = form.json_schema.schema_ if hasattr(form, "json_schema") else None
        return *split_prompt(request.messages), schema

    def predict(self, asked: tuple):
        """The answer, word by word, the tokens with the last."""
        lines, text, schema = asked
        words = self.second.answer(lines, text, schema).split(" ")
        read = len(" ".join(lines).split()) + len(text.split())
        for number, word in enumerate(words, 1):
            space = " " if number < len(words) else ""
            piece = {"role": "assistant", "content": word + space}
            if number == len(words):
                piece |= {"prompt_tokens": read, "completion_tokens": number}
                piece |= {"total_tokens": read + number}
            yield piece


def serve(port: int) -> None:
    """Serve with LitServe, in several processes, until they are killed."""
    api = SecondAPI(spec=litserve.OpenAISpec())
    server = litserve.LitServer(api, accelerator="cpu")
    server.run(
        host="127.0.0.1", port=port, log_level="error", generate_client_file=False
    )


def main() -> int:
    """Run the server in a session of its own, so that no process of it is left over."""
    parser = argparse.ArgumentParser(
        "tests/stress/second_server.py", description=__doc__
    )
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        serve(options.port)
        return 0
    command = [sys.executable, __file__, "--port", str(options.port), "--inside"]
    stopped = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stopped.set())
    process = subprocess.Popen(command, start_new_session=True)
    print(f"http://127.0.0.1:{options.port}/v1 (Ctrl-C stops it)", flush=True)
    while not stopped.wait(0.2) and process.poll() is None:
        pass
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return 0 if stopped.is_set() else 1


if __name__ == "__main__":
    sys.exit(main())
