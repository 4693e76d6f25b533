"""Every parameter of the openai package is decided on, and by what it would change."""

import json

import pytest
from openai.types import completion_create_params, embedding_create_params
from openai.types.chat import completion_create_params as chat_create_params
from openai.types.responses import response_create_params

from helpers.gpt import NAME as GPT
from helpers.promptable import NAME
from helpers.service import start
from helpers.service.fields import IGNORED, NEUTRAL
from helpers.service.http_errors import ServiceError
from helpers.service.reading import read_body
from helpers.service.requests import (
    ChatRequest,
    CompletionRequest,
    EmbeddingsRequest,
    ResponsesRequest,
)

USER = {"role": "user", "content": "- hydraulic: hose\n- electrical: light\nhose"}
BODIES = {
    CompletionRequest: {"model": NAME, "prompt": USER["content"]},
    ChatRequest: {"model": NAME, "messages": [USER]},
    ResponsesRequest: {"model": NAME, "input": [USER]},
    EmbeddingsRequest: {"model": NAME, "input": ["hose"]},
}
PARAMETERS = {
    CompletionRequest: completion_create_params.CompletionCreateParamsBase,
    ChatRequest: chat_create_params.CompletionCreateParamsBase,
    ResponsesRequest: response_create_params.ResponseCreateParamsBase,
    EmbeddingsRequest: embedding_create_params.EmbeddingCreateParams,
}


def read(kind, more=None, **options):
    body = {**BODIES[kind], **(more or {}), **options}
    return read_body(kind, json.dumps(body).encode())


@pytest.mark.parametrize("kind", PARAMETERS, ids=lambda kind: kind.__name__)
def test_every_parameter_of_the_openai_package_is_known(kind):
    names = set(PARAMETERS[kind].__annotations__) | {"user"}
    decided = kind.model_fields.keys() | IGNORED | NEUTRAL.keys()
    assert not names - decided, names - decided
    assert not IGNORED & NEUTRAL.keys()


@pytest.mark.parametrize("kind", BODIES, ids=lambda kind: kind.__name__)
def test_null_is_as_good_as_left_out(kind):
    names = set(PARAMETERS[kind].__annotations__) - BODIES[kind].keys() - {"model"}
    assert read(kind, dict.fromkeys(names)) == read(kind)


FUNCTION = {"type": "function", "function": {"name": "stop", "parameters": {}}}
HARMLESS = [  # what clients send without being asked to
    *({"tools": []}, {"tool_choice": "auto"}, {"tool_choice": "none"}),
    *({"tools": [FUNCTION], "tool_choice": "none"}, {"functions": []}),
    *({"frequency_penalty": 0}, {"presence_penalty": 0.0}, {"logit_bias": {}}),
    *({"logit_bias": {"50256": 0}},),
    *({"temperature": 0.1}, {"temperature": 1}, {"top_p": 1}, {"top_p": 0.9}),
    *({"n": 1}, {"best_of": 1}, {"n": 1, "best_of": 1}, {"echo": False}),
    *(
        {"suffix": ""},
        {"seed": 7},
        {"stop": []},
        {"stop": ""},
        {"stream": False},
        {"user": "me"},
    ),
    *({"store": True}, {"metadata": {"line": "3"}}, {"service_tier": "auto"}),
    *({"parallel_tool_calls": True}, {"max_tool_calls": 3}, {"verbosity": "low"}),
    *({"reasoning_effort": "low"}, {"modalities": ["text"]}, {"prediction": {}}),
    *({"stream_options": {"include_obfuscation": False}}, {"stream_options": {}}),
    *({"prompt_cache_key": "a"}, {"safety_identifier": "b"}, {"logprobs": False}),
]
HARMLESS_TO_RESPONSES = [
    *({"reasoning": {"effort": "low"}}, {"truncation": "auto"}, {"background": False}),
    *({"truncation": "disabled"}, {"include": []}, {"context_management": []}),
    *({"include": ["reasoning.encrypted_content"]}, {"top_logprobs": 0}),
    *({"text": {}}, {"text": {"format": {"type": "text"}, "verbosity": "low"}}),
]


@pytest.mark.parametrize("options", HARMLESS, ids=str)
def test_what_changes_nothing_is_accepted_by_chat(options):
    assert read(ChatRequest, options).as_prompt().text == USER["content"]


@pytest.mark.parametrize("options", HARMLESS_TO_RESPONSES, ids=str)
def test_what_changes_nothing_is_accepted_by_responses(options):
    assert read(ResponsesRequest, options).as_prompt().text == USER["content"]


REFUSED = [  # and the word that names the remedy
    ({"tools": [FUNCTION]}, "JSON schema"),
    ({"tools": [FUNCTION], "tool_choice": "auto"}, "JSON schema"),
    ({"tool_choice": "required"}, "JSON schema"),
    ({"function_call": {"name": "stop"}}, "JSON schema"),
    ({"response_format": {"type": "json_object"}}, "json_schema"),
    ({"frequency_penalty": 0.5}, "no penalties"),
    ({"presence_penalty": True}, "no penalties"),
    ({"logit_bias": {"50256": -100}}, "no bias"),
    ({"logprobs": True}, "/v1/completions"),
    ({"top_logprobs": 3}, "/v1/completions"),
    ({"n": 2}, "one answer"),
    ({"best_of": 3}, "one answer"),
    ({"modalities": ["text", "audio"]}, "text only"),
    ({"audio": {"voice": "alloy", "format": "wav"}}, "text only"),
    ({"web_search_options": {}}, "searches nothing"),
    ({"conversation": "conv_1"}, "whole conversation"),
    ({"previous_response_id": "resp_1"}, "whole conversation"),
    ({"background": True}, "at once"),
    ({"temprature": 0}, "Did you mean temperature"),
    ({"top_k": 5}, "There is no parameter 'top_k'"),
    ({"zzz": None}, "Leave it out"),
]


@pytest.mark.parametrize(("options", "remedy"), REFUSED, ids=str)
def test_what_would_change_something_is_refused_with_a_remedy(options, remedy):
    with pytest.raises(ServiceError, match=remedy) as caught:
        read(ChatRequest, options)
    assert caught.value.status == 400
    assert caught.value.body["error"]["param"].partition(".")[0] in options


MESSAGES = [  # messages of a conversation, and the word that names what is wrong
    ({"role": "tool", "tool_call_id": "1", "content": "x"}, "no tools"),
    ({"role": "assistant", "content": None, "tool_calls": [FUNCTION]}, "no tools"),
    ({"type": "function_call", "name": "stop", "arguments": ""}, "Only messages"),
    ({"type": "item_reference", "id": "msg_1"}, "Only messages"),
    ({"role": "user"}, "needs a content"),
    ({"role": "user", "content": 5}, "must be a text"),
    ({"role": "user", "content": [{"type": "input_image"}]}, "text only"),
    ({"role": "user", "content": [{"type": "text"}]}, "has no text"),
    ({"role": "user", "content": ["hose"]}, "text only"),
    ({"role": "boss", "content": "hose"}, "must be 'system', "),
    ("hose", "must be an object, not a text"),
]


@pytest.mark.parametrize(("message", "wrong"), MESSAGES, ids=str)
def test_what_is_wrong_with_a_message_is_said_in_plain_words(message, wrong):
    for kind, name in (ChatRequest, "messages"), (ResponsesRequest, "input"):
        with pytest.raises(ServiceError, match=wrong) as caught:
            read(kind, {name: [message, USER]})
        error = caught.value.body["error"]
        assert error["param"].startswith(f"{name}.0")
        assert "Input should" not in error["message"]


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": None, "refusal": "I cannot help"},
        {"role": "assistant", "content": None, "tool_calls": None, "audio": None},
        {"role": "assistant", "content": "ok", "annotations": [], "tool_calls": []},
        {"type": None, "role": "user", "content": "hose"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        {"role": "user", "content": [], "name": "line-3"},
        {"type": "message", "id": "msg_1", "status": "completed", "phase": None}
        | {"role": "assistant", "content": [{"type": "output_text", "text": "ok"}]},
    ],
    ids=str,
)
def test_messages_as_clients_keep_them_are_understood(message):
    assert read(ChatRequest, {"messages": [message, USER]}).as_prompt().turns[1:]
    assert read(ResponsesRequest, {"input": [message, USER]}).as_prompt().turns[1:]


@pytest.mark.parametrize(
    ("kind", "options", "remedy"),
    [
        (EmbeddingsRequest, {"input": [[11, 12]]}, "check_embedding_ctx_length=False"),
        (EmbeddingsRequest, {"input": [11, 12]}, "Send texts"),
        (EmbeddingsRequest, {"input": 5}, "a text or a list of texts"),
        (EmbeddingsRequest, {"encoding_format": "hex"}, "must be 'float' or 'base64'"),
        (CompletionRequest, {"prompt": [[11]]}, "Send texts"),
        (CompletionRequest, {"prompt": None}, "a text or a list of texts"),
        (CompletionRequest, {"prompt": ["a", "b"]}, "one prompt"),
        (CompletionRequest, {"suffix": "end"}, "only continue"),
        (CompletionRequest, {"echo": True}, "put it in front"),
        (ResponsesRequest, {"seed": 1}, "There is no parameter 'seed'"),
        (ResponsesRequest, {"include": ["message.output_text.logprobs"]}, "/v1/comp"),
        (ResponsesRequest, {"prompt": {"id": "pmpt_1"}}, "in input"),
        (ResponsesRequest, {"input": 5}, "a text or a list of messages"),
        (ChatRequest, {"temperature": "hot"}, "must be a number, not a text"),
        (ChatRequest, {"temperature": 3}, "at most 2"),
        (ChatRequest, {"max_tokens": 0}, "at least 1"),
        (ChatRequest, {"stream": 1}, "must be true or false, not the number 1"),
        (ChatRequest, {"messages": []}, "must not be empty"),
        (ChatRequest, {"model": None}, "must be a text, not null"),
        (ChatRequest, {"model": "\ud800"}, "half a character"),
        (ChatRequest, {"seed": 0.5}, "must be a whole number, not the number 0.5"),
        (ChatRequest, {"temperature": float("nan")}, "temperature must be"),
        (ChatRequest, {"response_format": "json"}, "must be an object, not a text"),
        (ChatRequest, {"stream_options": {"include_usage": "x"}}, "true or false"),
        (ChatRequest, {"stop": [1]}, "stop.0 must be a text"),
        (ChatRequest, {"stop": list("abcde")}, "may have 4 entries"),
    ],
    ids=str,
)
def test_every_sentence_is_for_people(kind, options, remedy):
    with pytest.raises(ServiceError, match=remedy) as caught:
        read(kind, options)
    assert "Input should" not in str(caught.value)


GOOD = json.dumps(BODIES[ChatRequest])


@pytest.mark.parametrize(
    "body", [GOOD.encode(code) for code in ("utf-8", "utf-8-sig", "utf-16", "utf-32")]
)
def test_json_is_read_in_every_form_of_unicode(body):
    assert read_body(ChatRequest, body) == read(ChatRequest)


@pytest.mark.parametrize(
    ("body", "encoding", "wrong"),
    [
        (b"", "", "it is empty"),
        (b"\x0b\x02\x80", "br", "it is compressed"),
        (b"\x1f\x8b\x08\x00", "", "it is compressed"),
        ('{"user": "Öl"}'.encode("latin-1"), "", "Latin-1"),
        (b'{"model": ', "", "at character 10"),
        (b'{"seed": ' + b"9" * 5000 + b"}", "", "a number that is too long"),
        (b"[" * 200_000, "", "nested too deeply"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_no_json_is_named(body, encoding, wrong):
    with pytest.raises(ServiceError, match=f"must be UTF-8 JSON; .*{wrong}"):
        read_body(ChatRequest, body, encoding)
    with pytest.raises(ServiceError, match="a JSON object, not a list"):
        read_body(ChatRequest, b"[]")


def test_the_running_service_reads_json_whatever_the_type_says():
    with start() as service, service.client(max_retries=0) as client:
        for kind in None, "text/plain", "application/x-www-form-urlencoded", "a/b; c":
            headers = {"Content-Type": kind} if kind else {}
            sent = client._client.post(
                f"{service.base_url}/chat/completions",
                content=GOOD.encode(),
                headers={"Authorization": f"Bearer {service.key}", **headers},
            )
            assert sent.status_code == 200, sent.text
        options = {"tools": [], "tool_choice": "auto", "frequency_penalty": 0}
        said = client.responses.create(model=GPT, input="hose", extra_body=options)
        assert said.output_text
