"""Clients that are not ours, as their users run them, against the local service.

python -m pytest -n 0 tests/benchmarks/test_clients.py; the clients come with
pip install -r tests/benchmarks/requirements.txt. Each is used with its defaults: what
it sends unasked must not be refused, and it must understand what it gets.
"""

import asyncio
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Literal

import pytest
from pydantic import BaseModel

from helpers.gpt import NAME as GPT
from helpers.promptable import DIMENSIONS, NAME
from helpers.service import start


def needs(module):
    reason = "pip install -r tests/benchmarks/requirements.txt"
    return pytest.mark.skipif(find_spec(module) is None, reason=reason)


TASK = "Which crew?\n- electrical: lights, wiring\n- hydraulic: oil leak, hose, pump"
TEXT, AGAIN = "hyd hose leaking", "replace headlight globe"


class Routing(BaseModel):
    """Which crew a work order goes to."""

    crew: Literal["electrical", "hydraulic"]
    confidence: float


@pytest.fixture(scope="module")
def service():
    with start() as service, pytest.MonkeyPatch.context() as patch:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            patch.delenv(name, raising=False)  # such clients would ask it
        patch.setenv("OPENAI_BASE_URL", service.base_url)
        patch.setenv("OPENAI_API_KEY", service.key)
        yield service


@needs("langchain_openai")
class TestLangChain:
    @pytest.fixture(params=["chat", "responses"])
    def model(self, request, service):
        from langchain_openai import ChatOpenAI

        return ChatOpenAI(model=NAME, use_responses_api=request.param == "responses")

    def test_chat_and_its_history(self, model):
        turns = [("system", TASK), ("human", TEXT)]
        said = model.invoke(turns)
        assert said.text == "hydraulic"
        assert said.usage_metadata["output_tokens"] > 0
        assert model.invoke([*turns, said, ("human", AGAIN)]).text == "electrical"

    def test_stream(self, model):
        parts = list(model.stream([("system", TASK), ("human", TEXT)]))
        assert "".join(part.text for part in parts) == "hydraulic" and len(parts) > 2

    def test_structured_output(self, model):
        form = model.with_structured_output(Routing, method="json_schema")
        said = form.invoke([("system", TASK), ("human", TEXT)])
        assert said.crew == "hydraulic" and 0.5 < said.confidence <= 1

    def test_what_it_cannot_do_is_said(self, model):
        from openai import BadRequestError

        for form in (
            model.with_structured_output(Routing, method="function_calling"),
            model.with_structured_output(Routing, method="json_mode"),
        ):
            with pytest.raises(BadRequestError, match="JSON schema"):
                form.invoke([("system", TASK), ("human", TEXT)])

    def test_embeddings(self, service):
        from langchain_openai import OpenAIEmbeddings

        texts = OpenAIEmbeddings(model=NAME, check_embedding_ctx_length=False)
        one, two = texts.embed_documents([TEXT, AGAIN])
        assert len(one) == DIMENSIONS and texts.embed_query(AGAIN) == two


@needs("pydantic_ai")
class TestPydanticAI:
    @pytest.fixture(params=["chat", "responses"])
    def model(self, request, service):
        from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel

        kinds = {"chat": OpenAIChatModel, "responses": OpenAIResponsesModel}
        return kinds[request.param](NAME)

    def test_chat_and_its_history(self, model):
        from pydantic_ai import Agent

        agent = Agent(model, instructions=TASK)
        said = agent.run_sync(TEXT)
        assert said.output == "hydraulic"
        again = agent.run_sync(AGAIN, message_history=said.all_messages())
        assert again.output == "electrical"

    def test_stream(self, model):
        from pydantic_ai import Agent

        async def read():
            async with Agent(model, instructions=TASK).run_stream(TEXT) as stream:
                return [text async for text in stream.stream_text(delta=True)]

        assert "".join(asyncio.run(read())) == "hydraulic"

    def test_structured_output(self, model):
        from pydantic_ai import Agent, NativeOutput

        agent = Agent(model, instructions=TASK, output_type=NativeOutput(Routing))
        assert agent.run_sync(TEXT).output.crew == "hydraulic"

    def test_what_it_cannot_do_is_said(self, model):
        from pydantic_ai import Agent
        from pydantic_ai.exceptions import ModelHTTPError

        with pytest.raises(ModelHTTPError, match="JSON schema"):
            Agent(model, instructions=TASK, output_type=Routing).run_sync(TEXT)

    def test_embeddings(self, service):
        from pydantic_ai import Embedder

        found = Embedder(f"openai:{NAME}").embed_documents_sync([TEXT, AGAIN])
        assert [len(vector) for vector in found.embeddings] == [DIMENSIONS] * 2


@pytest.fixture(scope="module")
def llm(service, tmp_path_factory):
    folder = tmp_path_factory.mktemp("llm")
    (folder / "keys.json").write_text(json.dumps({"course": service.key}))
    model = "- model_id: {0}\n  model_name: {0}\n  api_key_name: course\n"
    model += f"  api_base: {service.base_url}\n"
    models = model.format(NAME) + "  supports_schema: true\n" + model.format(GPT)
    (folder / "extra-openai-models.yaml").write_text(models)

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "llm", *arguments],
            env=os.environ | {"LLM_USER_PATH": str(folder)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


@needs("llm")
class TestLlm:
    """The command line `llm`, with models declared as its documentation says."""

    def test_chat_stream_and_history(self, llm):
        asked = ("prompt", "-m", NAME, "-s", TASK)
        assert llm(*asked, "--no-stream", TEXT) == "hydraulic"
        assert llm(*asked, TEXT) == "hydraulic"
        assert llm("prompt", "-m", NAME, "-c", AGAIN) == "electrical"

    def test_structured_output(self, llm):
        schema = json.dumps(Routing.model_json_schema())
        said = llm("prompt", "-m", NAME, "-s", TASK, "--schema", schema, TEXT)
        assert Routing.model_validate_json(said).crew == "hydraulic"

    def test_the_model_that_writes(self, llm):
        assert "Hydraulic" in llm("prompt", "-m", GPT, "-o", "temperature", "0", TEXT)
