"""A hostile run: python tests/stress/hostile.py [--requests 10000] [--seed 0] [--tls]

Starts the service and sends it thousands of broken, wrong, huge, odd, slow and
abandoned requests. It must answer each complete one, an error in OpenAI's shape but
never a 5xx (other than 503, when it has too much to do); write down neither order texts
nor keys; keep neither memory nor connections; and serve an ordinary client correctly
afterwards. With --tls, all this through TLS, with roles, and attacks on both.
"""

import argparse
import asyncio
import http.client
import io
import json
import random
import socket
import ssl
import struct
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from certificates import new_certificate
from service_process import service_process, written

from helpers import load_router
from helpers.gpt import FIELDS
from helpers.gpt import NAME as GPT
from helpers.promptable import NAME
from helpers.service import tls
from helpers.service.access_log import check
from helpers.service.fields import IGNORED, NEUTRAL
from helpers.service.keys import Keys, Role
from helpers.service.process import ServiceProcess
from helpers.service.requests import (
    ChatRequest,
    CompletionRequest,
    EmbeddingsRequest,
    ResponsesRequest,
)

MARKER = "marker7f3a"  # in every order text; must not be written down anywhere
SECRET = "hush51c9"  # in every key, right or wrong; neither must this
KEY = f"plant-{SECRET}-right"
ROLES = {  # keys that may less
    f"plant-{SECRET}-one-model": Role(models=(NAME,)),
    f"plant-{SECRET}-metrics": Role(models=(), metrics=True),
    f"plant-{SECRET}-ended": Role(until=datetime(2026, 1, 1, tzinfo=UTC)),
}
ONE_MODEL, METRICS, ENDED = (key.encode() for key in ROLES)
CONNECTIONS = 32
ANSWER_SECONDS = 30.0  # for a complete request to be answered, among 31 others
GROWTH = 50_000_000  # bytes of memory that the run may cost; with TLS half more
PLAIN = (  # what is no valid HTTP gets a plain text from uvicorn
    b"Invalid HTTP request received.",
    b"The head of the request is too large.",
)
ENDPOINTS = {
    "/v1/completions": CompletionRequest,
    "/v1/chat/completions": ChatRequest,
    "/v1/responses": ResponsesRequest,
    "/v1/embeddings": EmbeddingsRequest,
}
TEXT = f"{MARKER} replace blown hyd hose on boom"
LABELS = ["electrical", "hydraulic", "engine"]
SCHEMA = {"type": "object", "properties": {"crew": {"enum": LABELS}}}
RECORD = {"type": "object", "properties": dict.fromkeys(FIELDS, {"type": "string"})}
CLASSIFIER = "crew-lstm"


@dataclass
class Attack:
    """What one client sends, and how it behaves."""

    parts: list[bytes]
    method: str = "POST"
    complete: bool = True  # a whole HTTP request: it must get an answer
    pause: float = 0.0  # seconds between the parts
    leave_after: int | None = None  # bytes of the answer after which the client leaves
    wait: float = 0.0  # seconds before it reads the answer
    only: int | None = None  # the one status that is right
    slow: bool = False  # waits until the service breaks off
    clear: bool = False  # sends without TLS, also where TLS is on


@dataclass
class Outcome:
    """How it went: a status or what happened instead, and what was wrong with it."""

    status: str
    seconds: float
    problem: str = ""


Kind = Callable[[random.Random, float], Attack]
KINDS: dict[str, tuple[int, Kind]] = {}
ONLY_TLS: set[str] = set()  # kinds that need a service with TLS and roles


def kind(share: int, only_tls: bool = False) -> Callable[[Kind], Kind]:
    """Register a kind of attack, and how often it comes next to the others."""

    def register(make: Kind) -> Kind:
        name = make.__name__.replace("_", " ")
        KINDS[name] = (share, make)
        if only_tls:
            ONLY_TLS.add(name)
        return make

    return register


# --- building requests


def body(path: str) -> dict:
    """A correct request to an endpoint."""
    if path.endswith("embeddings"):
        return {"model": NAME, "input": [TEXT, TEXT]}
    if path == "/v1/completions":
        return {"model": GPT, "prompt": TEXT}
    if path.endswith("responses"):
        form = {"type": "json_schema", "name": "crew", "schema": SCHEMA}
        return {"model": NAME, "input": TEXT, "text": {"format": form}}
    form = {"type": "json_schema", "json_schema": {"name": "crew", "schema": SCHEMA}}
    messages = [{"role": "user", "content": TEXT}]
    return {"model": NAME, "messages": messages, "response_format": form}


def chat(text: object, schema: object = SCHEMA, **more: object) -> dict:
    """A request to chat completions with another text or schema."""
    request = body("/v1/chat/completions") | more
    request["messages"] = [{"role": "user", "content": text}]
    request["response_format"]["json_schema"]["schema"] = schema
    return request


def head(
    path: str = "/v1/chat/completions",
    length: int | None = 0,
    method: str = "POST",
    key: bytes | None = KEY.encode(),
    more: bytes = b"",
    close: bool = True,
) -> bytes:
    """First line and headers of a request."""
    lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: localhost"]
    lines += [b"Connection: close"] if close else []
    lines += [b"Authorization: Bearer " + key] if key is not None else []
    lines += [b"Content-Type: application/json"]
    lines += [b"Content-Length: %d" % length] if length is not None else []
    return b"\r\n".join(lines) + b"\r\n" + more + b"\r\n"


def post(content: object, path: str = "/v1/chat/completions", **more: object) -> Attack:
    """A POST with a body: bytes as they are, anything else as JSON."""
    sent = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Attack([head(path, len(sent), **more) + sent])


def any_path(rng: random.Random) -> str:
    """One of the endpoints that take a body."""
    return rng.choice(list(ENDPOINTS))


def chunked(content: bytes, size: int) -> bytes:
    """A body in chunks of a size."""
    cuts = range(0, len(content), size)
    parts = [content[cut : cut + size] for cut in cuts]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"


# --- the kinds of attack


@kind(15)
def ordinary_order(rng, patience):
    path = any_path(rng)
    attack = post(body(path), path)
    attack.only = 200
    return attack


@kind(10)
def broken_json(rng, patience):
    path = any_path(rng)
    good = json.dumps(body(path)).encode()
    cut = rng.randrange(len(good))
    broken = [
        *(good[:cut], good + b"}", good + good, b"", b" ", b"null", b"[]", b"0", b'""'),
        *(b"\xef\xbb\xbf" + good, good.replace(b'"', b"'"), good.replace(b":", b"=")),
        *(good[:cut] + b"\x00" + good[cut:], good[:cut] + b"\xff\xfe" + good[cut:]),
        *(b'{"model":NaN}', b'{"model":' + b"9" * 5000 + b"}", b'{"model":1e999}'),
        *(b'{"model"', b'"\\ud800"', b'{"a":"\\u12"}', good.decode().encode("utf-16")),
        *(rng.randbytes(300), b'{"model":"' + MARKER.encode() + b'"', b"-", b"{" * 9),
    ]
    return post(rng.choice(broken), path)


@kind(10)
def flipped_bytes(rng, patience):
    path = any_path(rng)
    sent = bytearray(json.dumps(body(path)).encode())
    for _ in range(rng.randint(1, 6)):
        sent[rng.randrange(len(sent))] = rng.randrange(256)
    return post(bytes(sent), path)


WRONG = [
    *(None, True, False, 0, -1, 1, 10**30, 1e308, 0.5, float("nan"), float("inf")),
    *("", "x", MARKER, "\ud800", "\0", [], [None], [[]], ["x"], {}, {"a": 1}, {"": {}}),
    *([{"type": "text", "text": MARKER}], [{"type": "image"}], {"type": "json_schema"}),
    *([{"role": "user"}], [{"role": "assistant", "content": ""}], {"format": None}),
]


@kind(12)
def wrong_types(rng, patience):
    path = any_path(rng)
    request = body(path)
    for _ in range(rng.choice((1, 1, 2))):
        fields = [
            *ENDPOINTS[path].model_fields,
            *NEUTRAL,
            *sorted(IGNORED),
            "unknown",
            "\udfff",
            MARKER,
        ]
        request[rng.choice(fields)] = rng.choice(WRONG)
    return post(request, path)


@kind(6)
def wrong_types_inside(rng, patience):
    request, wrong = body("/v1/chat/completions"), rng.choice(WRONG)
    form = request["response_format"]
    place, name = rng.choice(
        [
            *((request["messages"][0], n) for n in ("role", "content", "name")),
            *((form, n) for n in ("type", "json_schema", "x")),
            *((form["json_schema"], n) for n in ("name", "schema", "strict")),
        ]
    )
    place[name] = wrong
    return post(request)


@kind(2)
def huge_body(rng, patience):
    path = any_path(rng)
    size = rng.choice((999_900, 1_000_001, 1_300_000, 3_000_000))
    content = b'{"model":"' + b"x" * (size - 12) + b'"}'
    if rng.random() < 0.5:
        return post(content, path)
    sent = chunked(content, rng.choice((60_000, 300_000)))
    return Attack([head(path, None, more=b"Transfer-Encoding: chunked\r\n") + sent])


@kind(1)
def huge_lists(rng, patience):
    wrong = [[1], [{}], [None], ["x"], [[]], [{"role": "user", "content": MARKER}]]
    path = any_path(rng)
    request = body(path)
    name = rng.choice(("input", "messages", "metadata", "unknown"))
    many = rng.choice(wrong) * rng.choice((5000, 30_000))
    request[name] = dict(enumerate(many)) if name == "metadata" else many
    if name == "unknown":
        request |= {f"unknown{number}": MARKER for number in range(20_000)}
    return post(request, path)


@kind(5)
def chunks(rng, patience):
    path = any_path(rng)
    good = json.dumps(body(path)).encode()
    whole = chunked(good, rng.choice((1, 7, 1000)))
    sent = rng.choice(
        [
            whole,
            whole.replace(b"\r\n", b";ext=" + MARKER.encode() + b"\r\n", 1),
            whole[:-2] + b"X-Trailer: " + MARKER.encode() + b"\r\n\r\n",
            b"zz\r\n" + good + b"\r\n0\r\n\r\n",
            b"-5\r\n" + good + b"\r\n0\r\n\r\n",
            b"f" * 17 + b"\r\n" + good,
        ]
    )
    return Attack([head(path, None, more=b"Transfer-Encoding: chunked\r\n") + sent])


@kind(3)
def lying_length(rng, patience):
    path = any_path(rng)
    sent = json.dumps(body(path)).encode()
    lie = rng.choice((b"1", b"10", b"-1", b"abc", b"1e3", b"+5", b"1,2", b"9" * 30))
    return Attack([head(path, None, more=b"Content-Length: " + lie + b"\r\n") + sent])


@kind(4)
def deep_nesting(rng, patience):
    deep = rng.choice((10, 300, 900, 1100, 100_000))
    square, curly = b"[" * deep + b"]" * deep, b'{"a":' * deep + b"1" + b"}" * deep
    inner = rng.choice((square, curly, b"[" * deep, b'{"properties":' * deep))
    good = json.dumps(chat(TEXT, "HERE"), sort_keys=True).encode()
    place = rng.choice((b'"HERE"', json.dumps(TEXT).encode(), good))
    return post(good.replace(place, inner))


ODD = [
    *("\ud800", "\udfff\ud800", "\0", "\0\1", "😀" * 50, "نص عربي", "\u202e rtl"),
    *("\ufeff", "\u2028\u2029", "a\u0300" * 500, "İıſ", "x" * 19_000, "é" * 9000, ""),
    *("\U0010ffff", "\x7f\x80\x9f", "٠١٢٣", "\t\r\n\v\f" * 300, "𝒳" * 300, "'\\\""),
]


@kind(8)
def odd_unicode(rng, patience):
    odd = "".join(rng.choices(ODD, k=rng.randint(1, 3)))
    odd = rng.choice((odd, MARKER + odd, odd + MARKER))
    schema = {"properties": {"crew": {"enum": ["a", odd]}}}
    named = {"properties": {odd: {"enum": ["a", "b"]}}}
    text = {"model": NAME, "input": [odd, odd + "x"]}
    said = {"model": NAME, "input": odd, "instructions": f"- {odd}: {odd}\n- b: {odd}"}
    requests = [
        (chat(odd), "/v1/chat/completions"),
        (chat(TEXT, schema), "/v1/chat/completions"),
        (chat(TEXT, named), "/v1/chat/completions"),
        (chat(TEXT, schema, stream=True), "/v1/chat/completions"),
        (chat(TEXT, {odd: odd}, user=odd), "/v1/chat/completions"),
        (text, "/v1/embeddings"),
        (said, "/v1/responses"),
        (said | {"stream": True}, "/v1/responses"),
        ({"model": odd, "input": odd}, any_path(rng)),
    ]
    content, path = rng.choice(requests)
    ascii_only = rng.random() < 0.5  # else as UTF-8, half surrogate pairs included
    sent = json.dumps(content, ensure_ascii=ascii_only)
    return post(sent.encode("utf-8", "surrogatepass"), path)


@kind(3)
def long_texts(rng, patience):
    word = rng.choice(("x", f"{MARKER} ", "é", " ", "\n", "- a: b\n", "a=>b\n", "\0"))
    text = word * (rng.choice((20_000, 199_000, 300_000)) // len(word))
    path = any_path(rng)
    if path.endswith("embeddings"):
        return post({"model": NAME, "input": text}, path)
    if path.endswith("responses"):
        return post(body(path) | {"instructions": text}, path)
    return post(chat(text))


@kind(6)
def keys(rng, patience):
    wrong = SECRET.encode()
    key, more = rng.choice(
        [
            *((None, b""), (b"", b""), (wrong, b""), (KEY.encode() + b"x", b"")),
            *((wrong + "ключ".encode(), b""), (wrong + b"\xff\xfe", b"")),
            *((wrong + b"\0", b""), (wrong * 2000, b""), (wrong * 100_000, b"")),
            (wrong, b"Authorization: Bearer " + KEY.encode() + b"\r\n"),
            (None, b"Authorization: Basic " + wrong + b"\r\n"),
            (None, b"Authorization: " + KEY.encode() + b"\r\n"),
            (None, b"Authorization:\r\n"),
            (None, b"X-Api-Key: " + KEY.encode() + b"\r\n"),
            (wrong, (b"Authorization: Bearer " + wrong + b"\r\n") * 50),
        ]
    )
    path = any_path(rng)
    return post(body(path), path, key=key, more=more)


@kind(6)
def odd_schemas(rng, patience):
    loop = {"$ref": "#/$defs/a"}
    two = {"enum": ["a", "b"]}
    many = [f"label {number}" for number in range(10_000)]
    one_field = [
        *(loop, {"$ref": "#"}, {"$ref": "http://x/"}, {"$ref": 5}, {"$ref": ""}),
        *({"enum": many}, {"enum": []}, {"enum": ["a"]}, {"enum": ["a"] * 9}, {}),
        *({"enum": [["a"], ["b"]]}, {"enum": "ab"}, {"enum": [1, 2]}, None, [], "x", 3),
        *({"enum": ["a", "b", "unsure"]}, {"enum": ["unsure", "a"]}, {"type": "null"}),
        *({"enum": ["x" * 9000, "y"]}, {"enum": ["", " "]}, {"type": "array"}, two),
        {"enum": [f"{n}" * 50 for n in range(200)]},
        {"enum": [MARKER, MARKER + "b"]},
    ]
    properties = {"crew": rng.choice(one_field)}
    schema = rng.choice(
        [
            {"properties": properties, "$defs": {"a": loop}},
            {"properties": properties, "$defs": {"a": {"enum": ["x", "y"]}}},
            {"properties": properties, "$defs": rng.choice(WRONG)},
            {"properties": properties},
            {"properties": properties | {"confidence": {"type": "number"}}},
            {"properties": {"confidence": {"type": "number"}}},
            {"properties": {"confidence": two}},
            {"properties": rng.choice(WRONG)},
            {"properties": {f"field{n}": two for n in range(rng.choice((20, 9000)))}},
            {"$ref": "#/$defs/a", "$defs": {"a": {"properties": properties}}},
            rng.choice(WRONG),
        ]
    )
    lines = "- a: one\n- b: two\n- unsure: below 0." + "9" * 400
    instructions = rng.choice((lines, ""))
    request = chat(TEXT, schema, stream=rng.random() < 0.2)
    request["messages"].insert(0, {"role": "system", "content": instructions})
    return post(request)


@kind(2)
def many_examples(rng, patience):
    said = rng.choice(("hydraulic", '{"crew": "hydraulic"}', "[" * 2000, "{}", "7", ""))
    pair = [
        {"role": "user", "content": f"{MARKER} {rng.random()}"},
        {"role": "assistant", "content": said},
    ]
    count = rng.choice((10, 500, 2040, 2060))
    if rng.random() < 0.5:
        request = chat(TEXT)
        request["messages"] = pair * count + request["messages"]
        return post(request)
    lines = f"{MARKER} {rng.random()} => {said}\n" * count
    path = "/v1/responses"
    return post(body(path) | {"instructions": lines}, path)


@kind(5)
def slow_for_patterns(rng, patience):
    line = rng.choice(
        [
            *("- " * 40, "- - - :", "-" * 90, f"-{' ' * 5000}", f"- a{' ' * 5000}b"),
            *(
                f"{' ' * 5000}-",
                "-\t" * 3000 + ":",
                "a/" * 3000,
                "'" * 5000,
                "=>" * 900,
            ),
            *(
                "0" * 6000,
                "." * 6000,
                f"- unsure: {'1.' * 3000}",
                "_" * 5000,
                "x=>" * 9,
            ),
        ]
    )
    text = "\n".join([line] * rng.choice((1, 3, max(1, 19_000 // len(line)))))
    path = rng.choice(("/v1/chat/completions", "/v1/responses"))
    if path.endswith("responses"):
        return post(body(path) | {"instructions": text}, path)
    return post(chat(rng.choice((text, text + "\n" + TEXT))))


@kind(6)
def wrong_routes(rng, patience):
    path = rng.choice(
        [
            *("/", "/v1", "/v1/", "/v1/models", "/v1/models/", "/v1/models/" + MARKER),
            *("/v1/models/%ff%00%ed%a0%80", "/v1/%2e%2e/health", "//v1/models", "/v2"),
            *("/v1/responses/resp_1", "/v1/files", "/docs", "/openapi.json", "/health"),
            *(
                "/metrics",
                "/v1/embeddings/",
                "/v1/" + "x" * 9000,
                "/%00",
                "/v1/models?a",
            ),
            *("*", "/v1/models;x", "/v1/models#x", "http://localhost/v1/models", "/~"),
        ]
    )
    methods = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
    method = rng.choice(methods)
    kind_of_content = rng.choice(
        (b"text/plain", b"multipart/form-data; boundary=x", b"", b"\xff", b"a/b;" * 500)
    )
    more = b"Content-Type: " + kind_of_content + b"\r\n"
    content = rng.choice((b"", b"{}", json.dumps(chat(TEXT)).encode()))
    sent = head(path, len(content), method, more=more) + content
    return Attack([sent], method)


@kind(3)
def odd_content_types(rng, patience):
    path = any_path(rng)
    content = json.dumps(body(path)).encode()
    odd = rng.choice(
        [
            *(b"text/plain", b"application/x-www-form-urlencoded", b"", b"\xff", b"/"),
            *(b"multipart/form-data", b"application/json; charset=utf-16", b"a" * 5000),
        ]
    )
    lines = head(path, len(content)).replace(b"application/json", odd)
    more = rng.choice((b"", b"Content-Encoding: gzip", b"Expect: 100-continue"))
    lines = lines.replace(b"Host:", more + b"\r\nHost:") if more else lines
    return Attack([lines + content])


def _with_body(rng: random.Random, line: bytes) -> bytes:
    content = json.dumps(body("/v1/embeddings")).encode()
    rest = head("/v1/embeddings", len(content), more=line).partition(b"\r\n")[2]
    return b"POST /v1/embeddings HTTP/1.1\r\n" + rest + content


@kind(8)
def invalid_http(rng, patience):
    rest = head().partition(b"\r\n")[2]
    sent = rng.choice(
        [
            *(
                b"\r\n\r\n\0",
                b"HELLO\r\n\r\n",
                b"\x16\x03\x01\x02\x00\x01\x00",
                b"\xff",
            ),
            *(b"GET\r\n\r\n", b"GET /\xff HTTP/1.1\r\n" + rest, b"get / HTTP/1.1\r\n"),
            *(b"GET / HTTP/9.9\r\n" + rest, b"GET / HTTP/2.0\r\n" + rest),
            *(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n" + rest),
            *(b"GET http://[/ HTTP/1.1\r\n" + rest, b"GET  / HTTP/1.1\r\n" + rest),
            _with_body(rng, b"Content-Length: 3\r\n"),
            _with_body(rng, b"Transfer-Encoding: chunked\r\n"),
            _with_body(rng, b"Transfer-Encoding: gzip, x\r\n"),
            _with_body(rng, b"no colon\r\n"),
            _with_body(rng, b": no name\r\n"),
            _with_body(rng, b"a b: c\r\n"),
            _with_body(rng, b"X: a\0b\r\n"),
            _with_body(rng, b" folded: x\r\n"),
            _with_body(rng, b"X: a\rb\r\n"),
            rng.randbytes(200) + b"\r\n\r\n",
        ]
    )
    return Attack([sent], complete=False, wait=0.2)


@kind(4)
def odd_http(rng, patience):
    content = json.dumps(body("/v1/embeddings")).encode()
    good = head("/v1/embeddings", len(content)) + content
    line, _, rest = good.partition(b"\r\n")
    sent = rng.choice(
        [
            good.replace(b"HTTP/1.1", b"HTTP/1.0"),
            good.replace(b"localhost", b"["),
            good.replace(b"localhost", b"a" * 5000),
            good.replace(b"Host: localhost\r\n", b""),
            line + b"\r\n" + b"X: y\r\n" * 3000 + rest,
            line + b"\r\n" + b"X-Stainless-Retry-Count: " + b"9" * 900 + b"\r\n" + rest,
            line + b"\r\nUpgrade: h2c\r\n" + rest.replace(b"close", b"upgrade, close"),
            line
            + b"\r\nUpgrade: websocket\r\n"
            + rest.replace(b"close", b"upgrade, close"),
            b"\r\n\r\n" + good,
            good + b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n",
            good.replace(b"Connection: close\r\n", b"") * 5 + good,
        ]
    )
    return Attack([sent])


@kind(2)
def huge_head(rng, patience):
    size = rng.choice((70_000, 400_000, 2_000_000))
    junk = SECRET.encode() * (size // len(SECRET))
    lines = rng.choice((b"X: " + junk + b"\r\n", b"X: y\r\n" * (size // 6)))
    if rng.random() < 0.3:
        return Attack([head("/" + junk.decode())], complete=False)
    return Attack([head(more=lines)], complete=False)


EXTREME = {
    "temperature": [
        *(-1, 2, 5e-324, 1e-300, 1e-5, 2.0001, 10**400, 1e308),
        *(float("nan"), float("inf"), "hot"),
    ],
    "top_p": [0, 1e-300, 5e-324, 1, 1.0000001, -1, float("nan"), [], True],
    "n": [0, -1, 8, 9, 128, 10**9, 10**30, 1.5, "2"],
    "max_tokens": [0, -1, 1, 128, 10**9, 10**400, 0.5, None],
    "seed": [-1, 2**63, -(2**63), 10**400, 0.5, "x"],
    "stop": [
        *("", "\0", "\ud800", "}", "x" * 100, "x" * 900_000, [], ["a"] * 10_000),
        *(["x" * 100] * 4, [""], [None], {"a": 1}, ["\udfff", '"'], [1] * 10_000),
        *(['{"system": "' * 8] * 4, ['"'] * 5),
    ],
    "logprobs": [True, False, 0, 5, 6, 10**9, -1, "all"],
    "top_logprobs": [0, 5, 6, 10**9, -1],
    "include": [["message.output_text.logprobs"] * 9000, ["x"], []],
    "stream": [True, False, 1],
    "stream_options": [{"include_usage": True}, {"include_usage": 1}, [], {"x": {}}],
    **{
        "echo": [True],
        "suffix": [MARKER],
        "best_of": [10**9],
        "logit_bias": [{"1": 9}],
    },
}


@kind(10)
def extreme_options(rng, patience):
    path = rng.choice(list(ENDPOINTS)[:3])
    request = body(path) | {"model": GPT}
    for name in ("response_format", "text"):
        request.pop(name, None)
    if path.endswith("chat/completions") and rng.random() < 0.5:
        form = {"json_schema": {"name": "record", "schema": RECORD}}
        request["response_format"] = {"type": "json_schema", **form}
    known = [name for name in EXTREME if name in ENDPOINTS[path].model_fields]
    names = rng.choice((known, known, list(EXTREME)))
    for name in rng.sample(names, min(len(names), rng.randint(1, 4))):
        request[name] = rng.choice(EXTREME[name])
    return post(json.dumps(request).replace("1" + "0" * 400, "1e309").encode(), path)


@kind(6)
def odd_orders(rng, patience):
    """Odd, huge, or many texts for the models that read one order."""
    odd = "".join(rng.choices([*ODD, MARKER, " \u00ad", "zqx " * 60], k=2))
    odd = rng.choice((odd, odd, MARKER * 99, MARKER * 150, "x" * 1_000_001))
    model = rng.choice((GPT, CLASSIFIER))
    path = rng.choice(list(ENDPOINTS)[:3])
    request = body(path) | {"model": model, "stream": rng.random() < 0.3}
    if path == "/v1/completions":
        many = rng.choice(([odd], [[odd]], [1], [odd[:90]] * 8, [odd[:90]] * 9000))
        request["prompt"] = rng.choice((odd, many))
    elif path.endswith("responses"):
        request |= {"input": odd, "text": None}
    else:
        request = chat(odd, rng.choice((RECORD, SCHEMA, {}))) | {"model": model}
        request["messages"] *= 500 if len(odd) < 1000 and rng.random() < 0.2 else 1
    return post(request, path)


@kind(4)
def other_schemas(rng, patience):
    """Schemas for the models that fill their own fields only."""
    wrong = rng.choice(WRONG)
    string, number = {"type": "string"}, {"type": "number"}
    fields = RECORD["properties"]
    properties = rng.choice(
        [
            *(fields, fields | {"part": {"enum": ["x"]}}, fields | {"part": wrong}),
            *(
                fields | {"more": string},
                {"part": string},
                wrong,
                fields | {"x": wrong},
            ),
            *(
                {"confidence": number},
                {"crew": {"enum": LABELS}},
                {"hydraulic": number},
            ),
            *({f"f{n}": string for n in range(9000)}, {"part": {"$ref": "#/$defs/a"}}),
        ]
    )
    schema = {"type": "object", "properties": properties, "$defs": {"a": wrong}}
    model = rng.choice((GPT, CLASSIFIER))
    return post(chat(TEXT, schema, model=model, stream=rng.random() < 0.3))


@kind(4)
def teaching_faults(rng, patience):
    name = rng.choice(("server_error", "slow", "refusal:2", MARKER, "\xff", "a" * 5000))
    more = b"x-teach-fault: " + name.encode() + b"\r\n"
    path = any_path(rng)
    attack = post(body(path), path, more=more)
    attack.only = 400
    return attack


@kind(6)
def early_leavers(rng, patience):
    path = rng.choice(list(ENDPOINTS)[:3])
    more = {"n": rng.choice((1, 8))} if path == "/v1/completions" else {}
    content = json.dumps(body(path) | {"stream": rng.random() < 0.8} | more).encode()
    sent = head(path, len(content)) + content
    cut = rng.choice((0, 20, len(sent) - len(content), len(sent) - 9, len(sent)))
    after = rng.choice((0, 1, 300)) if cut == len(sent) else 0
    return Attack([sent[:cut]], complete=False, leave_after=after)


@kind(3)
def streams(rng, patience):
    path = rng.choice(list(ENDPOINTS)[:3])
    attack = post(body(path) | {"stream": True}, path)
    attack.only = 200
    return attack


@kind(1)
def slow_but_fine(rng, patience):
    content = json.dumps(body("/v1/embeddings")).encode()
    sent = head("/v1/embeddings", len(content)) + content
    size = len(sent) // 8 + 1
    parts = [sent[cut : cut + size] for cut in range(0, len(sent), size)]
    return Attack(parts, pause=patience / 40, only=200)


@kind(1)
def slow_senders(rng, patience):
    path = any_path(rng)
    content = json.dumps(body(path)).encode()
    begun = head(path, len(content) + 500, close=False)
    refused = head(path, len(content) + 500, key=SECRET.encode(), close=False)
    answered = head("/v1/models", None, "GET", close=False)
    endless = head(path, None, more=b"Transfer-Encoding: chunked\r\n")
    start = rng.choice(
        [
            *(b"", b"P", begun[:60], begun, begun + content[:50], refused, endless),
            answered + b"GET",  # between two requests, a connection may rest
        ]
    )
    drip = b"1\r\nx\r\n" if b"chunked" in start else b"x"
    parts = [start, *[drip] * rng.choice((0, 80))]  # 80 would take four times patience
    return Attack(parts, complete=False, pause=patience / 20, slow=True)


@kind(1)
def slow_readers(rng, patience):
    content = json.dumps({"model": NAME, "input": [TEXT] * 300}).encode()
    sent = head("/v1/embeddings", len(content)) + content
    return Attack([sent], wait=rng.choice((0.5, patience / 3)))


@kind(8, only_tls=True)
def keys_that_may_less(rng, patience):
    path = any_path(rng)
    request = body(path)
    key, name, status = rng.choice(
        [
            *((ENDED, NAME, 401), (METRICS, NAME, 404), (ONE_MODEL, GPT, 404)),
            *((ONE_MODEL, CLASSIFIER, 404), (ONE_MODEL, "crew", 404)),
            *((METRICS, MARKER, 404), (ENDED + b"x", NAME, 401)),
        ]
    )
    if path.endswith("embeddings"):
        request["model"] = name
    else:
        request = {"model": name, "prompt": TEXT, "input": TEXT}
        request |= {"messages": [{"role": "user", "content": TEXT}]}
        wanted = ENDPOINTS[path].model_fields
        request = {n: value for n, value in request.items() if n in wanted}
    attack = post(request, path, key=key)
    attack.only = status
    return attack


@kind(3, only_tls=True)
def metrics_pages(rng, patience):
    key, status = rng.choice(
        [(None, 401), (b"", 401), (ONE_MODEL, 403), (ENDED, 401), (KEY.encode(), 403)]
    )
    sent = head("/metrics", None, "GET", key=key)
    return Attack([sent], method="GET", only=status)


@kind(3, only_tls=True)
def no_handshake(rng, patience):
    hello = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        hello = hello.read()
    begun = rng.choice(
        [
            *(b"", hello[: rng.randrange(len(hello))], hello, hello + hello),
            *(head() + MARKER.encode(), rng.randbytes(500), b"\x16\x03\x01\xff\xff"),
            hello[:40] + rng.randbytes(200),
        ]
    )
    return Attack([begun], complete=False, slow=True, clear=True)


def attacks(
    count: int, seed: int, patience: float, secure: bool = False
) -> Iterator[tuple[str, Attack]]:
    """The same attacks for the same seed; at least one of each kind."""
    rng = random.Random(seed)
    names = [name for name in KINDS if secure or name not in ONLY_TLS]
    shares = [KINDS[name][0] for name in names]
    chosen = names + rng.choices(names, shares, k=max(0, count - len(names)))
    rng.shuffle(chosen)
    for name in chosen:
        yield name, KINDS[name][1](rng, patience)


# --- sending, and judging the answers


async def carry_out_encrypted(
    attack: Attack, address: tuple[str, int], trusted: ssl.SSLContext
) -> Outcome:
    """The same through TLS; reads from the start, as a reset would empty the reader."""
    start, received, broken = time.perf_counter(), bytearray(), False
    reader, writer = await asyncio.open_connection(*address, ssl=trusted)

    async def read() -> None:
        await asyncio.sleep(attack.wait)
        while attack.leave_after is None or len(received) < attack.leave_after:
            more = await reader.read(65_536)
            received.extend(more)
            if not more:
                break

    reading = asyncio.create_task(read())
    try:
        try:
            for part in attack.parts:
                writer.write(part)
                await writer.drain()
                if attack.pause:
                    await asyncio.sleep(attack.pause)
        except OSError:
            broken = True  # the service reads no further, but may have answered
        try:
            await reading
        except OSError:
            broken = True
        if attack.leave_after is not None:  # without a goodbye
            return Outcome("client left", time.perf_counter() - start)
    finally:
        reading.cancel()
        writer.transport.abort()
    return judge(attack, bytes(received), broken, time.perf_counter() - start)


async def carry_out(
    attack: Attack, address: tuple[str, int], trusted: ssl.SSLContext | None = None
) -> Outcome:
    """Send one attack on a connection of its own and judge what comes back."""
    if trusted and not attack.clear:
        return await carry_out_encrypted(attack, address, trusted)
    loop, start = asyncio.get_running_loop(), time.perf_counter()
    sock = socket.socket()
    sock.setblocking(False)
    received, broken = b"", False
    try:
        await loop.sock_connect(sock, address)
        try:
            for part in attack.parts:
                await loop.sock_sendall(sock, part)
                if attack.pause:
                    await asyncio.sleep(attack.pause)
        except OSError:
            broken = True  # the service reads no further, but may have answered
        await asyncio.sleep(attack.wait)
        try:
            while attack.leave_after is None or len(received) < attack.leave_after:
                more = await loop.sock_recv(sock, 65_536)
                received += more
                if not more:
                    break
        except OSError:
            broken = True
        if attack.leave_after is not None:  # without a goodbye
            at_once = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            return Outcome("client left", time.perf_counter() - start)
    finally:
        sock.close()
    return judge(attack, received, broken, time.perf_counter() - start)


def judge(attack: Attack, received: bytes, broken: bool, seconds: float) -> Outcome:
    """Whether an answer is one that a hostile request may get."""
    if attack.clear:  # a TLS alert, or nothing; but nothing in clear
        problem = f"in clear: {received!r:.80}" if b"HTTP" in received else ""
        return Outcome("reset" if broken else "closed", seconds, problem)
    if not received:
        problem = "no answer" if attack.complete else ""
        return Outcome("reset" if broken else "closed", seconds, problem)
    sock = type("", (), {"makefile": lambda *_: io.BytesIO(received)})()
    answer = http.client.HTTPResponse(sock, method=attack.method)
    try:
        answer.begin()
        content = answer.read()
    except http.client.HTTPException as error:
        problem = f"half an answer: {error!r}" if attack.complete else ""
        return Outcome("cut short", seconds, problem)
    return Outcome(f"{answer.status}", seconds, fault_in(attack, answer, content))


def fault_in(attack: Attack, answer: http.client.HTTPResponse, content: bytes) -> str:
    """What is wrong with an answer; "" if nothing is."""
    status = answer.status
    busy = status == 503 and b'"code": "overloaded"' in content  # back-pressure
    if status >= 500 and not busy:
        return f"{status}: {content[:200]!r}"
    if attack.only and not busy and status != attack.only:
        return f"{status} instead of {attack.only}: {content[:200]!r}"
    if status < 400 or attack.method == "HEAD":
        return ""
    if status == 400 and content in PLAIN:
        return ""
    try:
        error = json.loads(content)["error"]
        shape = {"message": str, "type": str, "param": str | None, "code": str | None}
        right = error.keys() == shape.keys() and all(
            isinstance(error[name], kind_of) for name, kind_of in shape.items()
        )
    except (ValueError, TypeError, KeyError):
        right = False
    return "" if right else f"{status} is not of OpenAI's shape: {content[:200]!r}"


@dataclass
class Report:
    """What the run found."""

    outcomes: dict[str, list[Outcome]] = field(
        default_factory=lambda: defaultdict(list)
    )
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def table(self) -> str:
        """Kind, count, statuses, and the longest time of one attack."""
        lines = [f"{'kind':20}{'count':>6}  {'slowest':>7}  statuses"]
        for name in filter(self.outcomes.get, KINDS):
            found = self.outcomes[name]
            counts = Counter(outcome.status for outcome in found)
            told = ", ".join(f"{status}: {n}" for status, n in sorted(counts.items()))
            slowest = max(outcome.seconds for outcome in found)
            lines.append(f"{name:20}{len(found):6}  {slowest:6.2f}s  {told}")
        return "\n".join(lines)


async def send_all(
    count: int,
    seed: int,
    patience: float,
    address: tuple[str, int],
    report: Report,
    trusted: ssl.SSLContext | None = None,
) -> None:
    """Send everything: 32 connections, and up to 32 more that are slow on purpose."""
    slots = {slow: asyncio.Semaphore(CONNECTIONS) for slow in (False, True)}

    async def one(name: str, attack: Attack) -> None:
        limit = 3 * patience + ANSWER_SECONDS if attack.slow else ANSWER_SECONDS
        try:
            async with asyncio.timeout(limit):
                outcome = await carry_out(attack, address, trusted)
        except TimeoutError:
            outcome = Outcome("hung", limit, f"no end within {limit:.0f} s")
        finally:
            slots[attack.slow].release()
        if attack.slow and outcome.seconds > 2 * patience + 5:
            outcome.problem = f"held a connection for {outcome.seconds:.0f} s"
        report.outcomes[name].append(outcome)
        if outcome.problem:
            sent = attack.parts[0][-300:]
            report.problems.append(f"{name}: {outcome.problem}; sent ...{sent!r}")

    async with asyncio.TaskGroup() as group:
        for name, attack in attacks(count, seed, patience, bool(trusted)):
            await slots[attack.slow].acquire()
            group.create_task(one(name, attack))


def handles(process: psutil.Process) -> int:
    """Open file descriptors; on Windows, connections."""
    if hasattr(process, "num_fds"):
        return process.num_fds()
    return len(process.net_connections())


def ordinary_answer(
    service: ServiceProcess, trusted: ssl.SSLContext | None = None
) -> str:
    """What a normal client gets for a normal order."""
    with service.client(verify=trusted or True, max_retries=0) as client:
        said = client.responses.create(
            model=NAME,
            instructions="- electrical: lights, wiring\n- hydraulic: hose, oil leak",
            input="hyd hose leaking",
        )
        return said.output_text


def run(
    count: int,
    seed: int,
    patience: float | None = None,
    planted: str = "",
    secure: bool = False,
) -> Report:
    """Attack a service of its own.

    Args:
        count: how many attacks.
        seed: which ones.
        patience: seconds that the service waits for slow senders; None: its own 10.
        planted: a fault, as Python code that runs first in the service's process.
        secure: with TLS and roles.

    """
    report = Report()
    if patience:
        planted += "\nfrom helpers.service import connection, middleware, tls"
        planted += f"\nconnection.PATIENCE = middleware.BODY_SECONDS = {patience}"
        planted += f"\ntls.HANDSHAKE = {patience}"
    patience = patience or 10.0
    load_router("crew")  # train it once, here
    options, roles = ["--router", "crew"], Keys(1, 1)
    for number, (key, role) in enumerate(ROLES.items()):
        roles.add(f"role-{number}", Keys.digest(key), role)
    folder = tempfile.TemporaryDirectory(prefix="course-certificates-")
    own = new_certificate("127.0.0.1", Path(folder.name))
    trusted = tls.client_side(own.certificate) if secure else None
    if secure:
        options += ["--tls", str(own.certificate), str(own.key), "--private-metrics"]
    with folder, service_process(KEY, planted, *options, roles=roles) as service:
        url = urlsplit(service.base_url)
        if ordinary_answer(service, trusted) != "hydraulic":
            report.problems.append("wrong answer before the run")
        process = psutil.Process(service.pid)
        memory, open_before = process.memory_info().rss, handles(process)
        start = time.perf_counter()
        address = url.hostname, url.port
        asyncio.run(send_all(count, seed, patience, address, report, trusted))
        seconds = time.perf_counter() - start
        deadline = time.monotonic() + 2 * patience + 3
        while handles(process) > open_before and time.monotonic() < deadline:
            time.sleep(0.1)
        growth = process.memory_info().rss - memory
        report.notes += [
            f"{count} attacks in {seconds:.1f} s",
            f"memory {memory / 1e6:.0f} MB, grown by {growth / 1e6:.1f} MB",
            f"open files {open_before} before, {handles(process)} after",
        ]
        if growth > GROWTH * (1.5 if secure else 1):
            report.problems.append(f"memory grew by {growth / 1e6:.0f} MB")
        if handles(process) > open_before:
            report.problems.append("connections stay open")
        if ordinary_answer(service, trusted) != "hydraulic":
            report.problems.append("wrong answer after the run")
        code = service.stop()
        if code and sys.platform != "win32":  # there it cannot be asked, only killed
            report.problems.append(f"exit code {code}")
        for secret in (MARKER, SECRET):
            if secret in written(service.folder):
                report.problems.append(f"{secret} was written down")
        report.problems += check(service.folder)  # the chain of the access log
        errors = (service.folder / "stderr").read_text("utf-8", "replace")
        if errors:
            report.problems.append(f"stderr: {errors[:2000]}")
    return report


def main() -> int:
    """Run from the command line; 1 if the service failed."""
    parser = argparse.ArgumentParser("tests/stress/hostile.py", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tls", action="store_true")
    options = parser.parse_args()
    report = run(options.requests, options.seed, secure=options.tls)
    print(report.table(), *report.notes, sep="\n")
    for problem in report.problems[:40]:
        print("PROBLEM", problem)
    print(f"{len(report.problems)} problems")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
