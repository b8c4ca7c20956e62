"""The google-genai SDK: contents generated whole and streamed, chats, tools, schemas, thoughts, counts, vectors."""

from __future__ import annotations

from functools import cache
from typing import Any

from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from harness import CLOCK, QUESTION, RESULTS, SYSTEM, WEATHER, Target, answer, run

PLAIN = types.GenerateContentConfig(system_instruction=SYSTEM, max_output_tokens=400)
DECLARED = [
    types.FunctionDeclaration(
        name=tool["name"], description=tool["description"], parameters_json_schema=tool["parameters"]
    )
    for tool in (WEATHER, CLOCK)
]
TOOLS = types.GenerateContentConfig(tools=[types.Tool(function_declarations=DECLARED)])


class Step(BaseModel):
    title: str
    minutes: int


class Plan(BaseModel):
    name: str
    steps: list[Step]
    done: bool


@cache
def client(target: Target) -> genai.Client:
    options = types.HttpOptions(base_url=target.origin, timeout=30_000)
    return genai.Client(api_key=target.key, vertexai=False, http_options=options)


def seen(*chunks: Any) -> Any:
    """One answer, whole or in chunks."""
    parts = [part for chunk in chunks for part in (chunk.candidates[0].content.parts or ()) if chunk.candidates]
    thoughts = [part.text for part in parts if part.thought]
    calls = [part.function_call for part in parts if part.function_call]
    usage = chunks[-1].usage_metadata
    return answer(
        "".join(part.text for part in parts if part.text and not part.thought),
        # An identifier is not in every version of the API.
        calls=[(call.id or f"{number}", call.name, call.args) for number, call in enumerate(calls)],
        finish=chunks[-1].candidates[0].finish_reason.value,
        usage=(usage.prompt_token_count, usage.candidates_token_count),
        thoughts="".join(thoughts) if thoughts else None,
    )


def generate(target: Target) -> Any:
    made = client(target).models.generate_content(model=target.model, contents=QUESTION, config=PLAIN)
    assert target.model.startswith(made.model_version or "nothing")  # the simulator tells it without its options
    return seen(made)


def generate_cut_short(target: Target) -> Any:
    config = types.GenerateContentConfig(max_output_tokens=20)
    return seen(client(target).models.generate_content(model=target.model, contents=QUESTION, config=config))


def stream(target: Target) -> Any:
    return seen(*client(target).models.generate_content_stream(model=target.model, contents=QUESTION, config=PLAIN))


def chat_of_two_turns(target: Target) -> Any:
    chat = client(target).chats.create(model=target.model, config=PLAIN)
    first, second = chat.send_message(QUESTION), chat.send_message("And tomorrow?")
    return seen(first), seen(second), [content.role for content in chat.get_history()]


def tools(target: Target) -> Any:
    models = client(target).models
    first = models.generate_content(model=target.model, contents=QUESTION, config=TOOLS)
    second = models.generate_content(model=target.model, contents=_history(first), config=TOOLS)
    return seen(first), seen(second)


def tools_streamed(target: Target) -> Any:
    models = client(target).models
    first = list(models.generate_content_stream(model=target.model, contents=QUESTION, config=TOOLS))
    history = _history(*first)
    return seen(*first), seen(*models.generate_content_stream(model=target.model, contents=history, config=TOOLS))


def tool_forced(target: Target) -> Any:
    models = client(target).models
    answers = []
    for mode, names in (("ANY", ["clock"]), ("ANY", None), ("NONE", None)):
        calling = types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode(mode), allowed_function_names=names)
        config = TOOLS.model_copy(update={"tool_config": types.ToolConfig(function_calling_config=calling)})
        answers.append(seen(models.generate_content(model=target.model, contents=QUESTION, config=config)))
    return answers


def tools_called_by_the_sdk(target: Target) -> Any:
    asked: list[str] = []

    def weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return RESULTS["weather"]

    config = types.GenerateContentConfig(tools=[weather])
    made = client(target).models.generate_content(model=target.model, contents=QUESTION, config=config)
    return asked, seen(made)


def thoughts(target: Target) -> Any:
    """A second turn stands on the signatures of the first."""
    wanted = types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
    config = TOOLS.model_copy(update={"thinking_config": wanted, "max_output_tokens": 2048})
    models = client(target).models
    first = models.generate_content(model=target.thinking, contents=QUESTION, config=config)
    second = models.generate_content(model=target.thinking, contents=_history(first), config=config)
    return seen(first), seen(second)


def _history(*chunks: Any) -> list[Any]:
    parts = [part for chunk in chunks for part in (chunk.candidates[0].content.parts or ())]
    results = [
        types.Part(
            function_response=types.FunctionResponse(
                id=part.function_call.id,
                name=part.function_call.name,
                response={"result": RESULTS[part.function_call.name]},
            )
        )
        for part in parts
        if part.function_call
    ]
    return [
        types.Content(role="user", parts=[types.Part(text=QUESTION)]),
        types.Content(role="model", parts=parts),
        types.Content(role="user", parts=results),
    ]


def response_schema(target: Target) -> Any:
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Plan)
    made = client(target).models.generate_content(model=target.model, contents=QUESTION, config=config)
    return made.parsed.model_dump() if isinstance(made.parsed, Plan) else made.text


def response_json_schema(target: Target) -> Any:
    config = types.GenerateContentConfig(
        response_mime_type="application/json", response_json_schema=Plan.model_json_schema()
    )
    made = client(target).models.generate_content(model=target.model, contents=QUESTION, config=config)
    return Plan.model_validate_json(made.text or "").model_dump()


def count_tokens(target: Target) -> Any:
    return (client(target).models.count_tokens(model=target.model, contents=QUESTION).total_tokens or 0) > 0


def embeddings(target: Target) -> Any:
    made = client(target).models.embed_content(model=target.embeds, contents=["one", "two", "one"])
    vectors = [each.values for each in made.embeddings or ()]
    return len(vectors), vectors[0] == vectors[2], vectors[0] == vectors[1]


def unknown_model(target: Target) -> Any:
    try:
        client(target).models.generate_content(model="no-such-model;status=404", contents=QUESTION)
    except errors.ClientError as exc:
        return exc.code, exc.status
    return "answered"


run(
    [
        generate,
        generate_cut_short,
        stream,
        chat_of_two_turns,
        tools,
        tools_streamed,
        tool_forced,
        tools_called_by_the_sdk,
        thoughts,
        response_schema,
        response_json_schema,
        count_tokens,
        embeddings,
        unknown_model,
    ],
    ["google-genai"],
)
