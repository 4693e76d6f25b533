"""A server that answers as hosted vendors do: python tests/stress/vendor_server.py

OpenAI's protocol over plain HTTP on 127.0.0.1, standard library only. It counts words
instead of understanding them, but it misbehaves like the real ones:

- a reasoning item comes before the message, and its tokens are billed as output;
- the option temperature is refused (400, with the name of the option);
- texts with "ignore all rules" meet a content filter (400 content_filter);
- one order in 17 is refused, for one in 23 the confidence is 95 instead of 0.95;
- two questions get 429 four times in a row, one gets it for ever, and one is told to
  come back in a day;
- one order in 29 is cut off while the model thinks; one in 31 is too long, in the words
  of llama.cpp;
- after `retires_after` paid answers the model is gone (404), until `retired` is reset;
- a stream breaks off in the middle.

Vendor.paid counts the answers to each question, Vendor.said holds what was answered.
"""

import json
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from zlib import crc32

KEY, MODEL = "vendor-key", "vendor-large-1"
THOUGHTS = 64  # tokens of every answer
CUT_OFF = ""  # what is said when the thoughts have used up all tokens
LIMITS = {
    "x-ratelimit-limit-requests": "60000",
    "x-ratelimit-limit-tokens": "600000000",
}


class Refused(Exception):
    """An answer that is an error: status, code, and the field that caused it."""

    def __init__(self, status, code, param=None, kind="error", **headers):
        super().__init__(code)
        self.status = status
        self.headers = {name.replace("_", "-"): headers[name] for name in headers}
        error = {"message": f"vendor says {code}", "type": kind}
        self.body = {"error": {**error, "code": code, "param": param}}


def question_of(body):
    """(instructions, text, JSON schema) of a request to either endpoint."""
    if "messages" in body:
        said = {message["role"]: message["content"] for message in body["messages"]}
        form = body.get("response_format", {}).get("json_schema", {})
        return said.get("system", ""), said["user"], form.get("schema")
    form = body.get("text", {}).get("format", {})
    return body.get("instructions", ""), body["input"], form.get("schema")


def choose(prompt, text, labels):
    """The label that shares most words with the text, in its lines of the prompt."""
    score, words = Counter(), set(text.lower().split())
    for line in prompt.splitlines():
        example, arrow, label = line.rpartition(" => ")
        if not arrow:
            label, _, example = line.removeprefix("- ").partition(": ")
        if label in labels:
            score[label] += len(words & set(example.lower().replace(",", "").split()))
    return max(labels, key=lambda label: (score[label], label))


class Vendor(ThreadingHTTPServer):
    """The server and its books."""

    daemon_threads = True

    def __init__(self, port=0, retires_after=None):
        super().__init__(("127.0.0.1", port), Handler)
        self.paid, self.said, self.tries = Counter(), {}, Counter()
        self.retires_after, self.retired = retires_after, False
        self.asked, self.lock = {}, threading.Lock()
        self.base_url = f"http://127.0.0.1:{self.server_port}/v1"

    def answer(self, body):
        """The text of an answer, None for a refusal, or CUT_OFF. Raises Refused."""
        if not body:
            raise Refused(400, "missing_required_parameter", "model")
        if body.get("model") != MODEL or self.retired:
            raise Refused(404, "model_not_found", "model")
        if "temperature" in body:
            raise Refused(400, "unsupported_value", "temperature")
        prompt, text, schema = question = question_of(body)
        question = (prompt, text, json.dumps(schema))
        with self.lock:
            number = self.asked.setdefault(question, len(self.asked))
            self.tries[question] += 1
            often = self.tries[question]
        if "ignore all rules" in text.lower():
            raise Refused(400, "content_filter")
        luck = crc32(text.encode())
        if luck % 31 == 1:
            raise Refused(400, 400, kind="exceed_context_size_error")
        if number == 120 and often == 1:
            raise Refused(429, "rate_limit_exceeded", retry_after="86400")
        if number == 300 or (number in (1, 50) and often <= 4):
            wait = {"retry_after": "1", "retry_after_ms": "100"}
            raise Refused(429, "rate_limit_exceeded", **wait)
        said = None if luck % 17 == 0 else self.fill(*question)
        said = CUT_OFF if luck % 29 == 2 else said
        with self.lock:
            self.paid[question] += 1
            self.said[question] = said
            if self.paid.total() == self.retires_after:
                self.retired = True
        return said

    @staticmethod
    def fill(prompt, text, schema):
        """The form, filled in."""
        luck, form = crc32(text.encode()), {}
        for name, what in ((json.loads(schema) or {}).get("properties", {})).items():
            if "enum" in what:
                form[name] = choose(prompt, text, what["enum"])
            elif what.get("type") == "number":
                form[name] = 95 if luck % 23 == 0 else (50 + luck % 50) / 100
            else:
                form[name] = "none"
        return json.dumps(form)


class Handler(BaseHTTPRequestHandler):
    """One connection, kept open for many requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        """Say nothing."""

    def do_GET(self):
        """Only the list of models."""
        self.send(200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    def do_POST(self):
        """Both endpoints."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "{}")
        try:
            if self.headers["Authorization"] != f"Bearer {KEY}":
                raise Refused(401, "invalid_api_key")
            said = self.server.answer(body)
        except Refused as error:
            self.send(error.status, error.body, error.headers)
            return
        if body.get("stream"):
            self.break_off()
        elif self.path == "/v1/responses":
            self.send(200, response(body, said))
        else:
            self.send(200, chat(body, said))

    def send(self, status, body, headers=()):
        """One whole answer."""
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**LIMITS, **dict(headers)}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def break_off(self):
        """Two pieces of a stream; the connection ends before the third."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", "100000")
        self.end_headers()
        for piece in ("hydr", "au"):
            choice = {"index": 0, "delta": {"content": piece}, "finish_reason": None}
            chunk = {"id": "1", "object": "chat.completion.chunk", "choices": [choice]}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.close_connection = True


def counts(body, said):
    """Tokens read and written, thoughts included."""
    return sum(map(len, question_of(body)[:2])) // 3, THOUGHTS + len(said or "") // 3


def response(body, said):
    """A response object: thoughts first, then the message."""
    part = {"type": "output_text", "text": said, "annotations": []}
    if said is None:
        part = {"type": "refusal", "refusal": "I cannot help with that."}
    read, written = counts(body, said)
    thoughts = {"id": "t", "type": "reasoning", "summary": []}
    message = {"id": "m", "type": "message", "role": "assistant", "content": [part]}
    return {
        "id": "r",
        "object": "response",
        "created_at": int(time.time()),
        "model": MODEL,
        "status": "incomplete" if said == CUT_OFF else "completed",
        "output": [thoughts] if said == CUT_OFF else [thoughts, message],
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": read,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": THOUGHTS},
            "total_tokens": read + written,
        },
    }


def chat(body, said):
    """A chat.completion object."""
    refusal = "I cannot help with that." if said is None else None
    message = {"role": "assistant", "content": said, "refusal": refusal}
    read, written = counts(body, said)
    reason = "length" if said == CUT_OFF else "stop"
    usage = {"prompt_tokens": read, "completion_tokens": written}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {**usage, "total_tokens": read + written},
    }


if __name__ == "__main__":
    vendor = Vendor(int(sys.argv[1]) if len(sys.argv) > 1 else 8002)
    print(f"OPENAI_BASE_URL={vendor.base_url}\nOPENAI_API_KEY={KEY}")
    print(f"OPENAI_MODEL={MODEL}", flush=True)
    vendor.serve_forever()
