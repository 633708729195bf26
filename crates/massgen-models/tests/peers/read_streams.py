"""Reads streams with the official SDKs, each through its normal streaming API.

Takes JSON lines on stdin: {"name", "reader", "url"}, where `url` is the address of a
server alone. Prints a JSON line for each, in order: {"name", "text", "reasoning",
"calls": [[name, arguments]], "usage", "complete"} or {"name", "error"}. `complete` tells
whether the SDK knows why the model stopped; `usage` counts all input and all output, and
what of them was read from a cache, written to it, and thought.
"""

import json
import signal
import sys

import anthropic
import openai
from google import genai
from google.genai import types

TIMEOUT_SECONDS = 20
# For all streams; then the process ends, and with it the test.
TOTAL_SECONDS = 300
QUESTION = "How far?"


def number(holder, *path):
    """Follows attributes as far as they go; what is not said counts nothing."""
    for name in path:
        holder = getattr(holder, name, None)
    return holder or 0


def extra(holder, *names):
    """Returns the first field of these that is text; the SDK keeps unknown ones."""
    for name in names:
        value = getattr(holder, name, None)
        if isinstance(value, str):
            return value
    return ""


# One client each: what takes time is to make one.
OPENAI = openai.OpenAI(api_key="k", max_retries=0, timeout=TIMEOUT_SECONDS)
ANTHROPIC = anthropic.Anthropic(api_key="k", max_retries=0, timeout=TIMEOUT_SECONDS)
GEMINI = genai.Client(api_key="k")


def openai_client(url):
    return OPENAI.with_options(base_url=url + "/v1")


def read_chat(url):
    stream = openai_client(url).chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": QUESTION}],
        stream=True,
        stream_options={"include_usage": True},
    )
    texts, reasoning, calls, usage, complete = [], [], {}, None, False
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices or []:
            if choice.index != 0:
                continue
            complete = complete or bool(choice.finish_reason)
            texts.append(choice.delta.content or choice.delta.refusal or "")
            reasoning.append(extra(choice.delta, "reasoning_content", "reasoning"))
            for call in choice.delta.tool_calls or []:
                # As the SDK's guide adds them up: by index, the name once.
                said = calls.setdefault(call.index, [call.function.name, ""])
                said[1] += call.function.arguments or ""
    return {
        "text": "".join(texts),
        "reasoning": "".join(reasoning),
        "calls": list(calls.values()),
        "complete": complete,
        "usage": of_chat(usage),
    }


def accumulate_chat(url):
    with openai_client(url).chat.completions.stream(
        model="m", messages=[{"role": "user", "content": QUESTION}]
    ) as stream:
        for _ in stream:
            pass
        completion = stream.get_final_completion()
    choice = completion.choices[0]
    calls = choice.message.tool_calls or []
    return {
        "text": choice.message.content or "",
        "reasoning": extra(choice.message, "reasoning_content", "reasoning"),
        "calls": [[call.function.name, call.function.arguments] for call in calls],
        "complete": bool(choice.finish_reason),
        "usage": of_chat(completion.usage),
    }


def of_chat(usage):
    return {
        "input": number(usage, "prompt_tokens"),
        "cache_read": number(usage, "prompt_tokens_details", "cached_tokens"),
        # OpenRouter's field; the SDK hands on what it does not know.
        "cache_write": number(usage, "prompt_tokens_details", "cache_write_tokens"),
        "output": number(usage, "completion_tokens"),
        "reasoning": number(usage, "completion_tokens_details", "reasoning_tokens"),
    }


ENDS = ("response.completed", "response.incomplete")


def read_responses(url):
    stream = openai_client(url).responses.create(
        model="m", input=QUESTION, include=["reasoning.encrypted_content"], stream=True
    )
    texts, summaries, calls, final = [], {}, [], None
    for event in stream:
        if event.type in ("response.output_text.delta", "response.refusal.delta"):
            texts.append(event.delta)
        elif event.type == "response.reasoning_summary_text.delta":
            part = (event.output_index, event.summary_index)
            summaries[part] = summaries.get(part, "") + event.delta
        elif event.type == "response.reasoning_text.delta":
            part = (event.output_index, event.content_index)
            summaries[part] = summaries.get(part, "") + event.delta
        elif event.type == "response.output_item.done" and event.item.type == "function_call":
            calls.append([event.item.name, event.item.arguments])
        elif event.type in ENDS:
            final = event.response
            break
        elif event.type == "response.failed":
            raise RuntimeError(f"response.failed: {event.response.error}")
    if final is None:
        return {"complete": False}
    whole = of_output(final.output or [])
    return {
        # What was streamed, or else what the end says.
        "text": "".join(texts) or whole["text"],
        "reasoning": "\n\n".join(summaries.values()) or whole["reasoning"],
        "calls": calls or whole["calls"],
        "complete": True,
        "usage": of_response(final.usage),
    }


def accumulate_responses(url):
    final = None
    with openai_client(url).responses.stream(
        model="m", input=QUESTION, include=["reasoning.encrypted_content"]
    ) as stream:
        for event in stream:
            if event.type in ENDS:
                final = event.response
            elif event.type == "response.failed":
                raise RuntimeError(f"response.failed: {event.response.error}")
    if final is None:
        return {"complete": False}
    assert all(item.encrypted_content for item in final.output if item.type == "reasoning")
    return {**of_output(final.output), "complete": True, "usage": of_response(final.usage)}


def of_output(items):
    texts, reasoning, calls = [], [], []
    for item in items:
        if item.type == "message":
            texts += [extra(part, "text", "refusal") for part in item.content]
        elif item.type == "reasoning":
            reasoning += [part.text for part in item.summary or []]
        elif item.type == "function_call":
            calls.append([item.name, item.arguments])
    return {"text": "".join(texts), "reasoning": "\n\n".join(reasoning), "calls": calls}


def of_response(usage):
    return {
        "input": number(usage, "input_tokens"),
        "cache_read": number(usage, "input_tokens_details", "cached_tokens"),
        "cache_write": number(usage, "input_tokens_details", "cache_write_tokens"),
        "output": number(usage, "output_tokens"),
        "reasoning": number(usage, "output_tokens_details", "reasoning_tokens"),
    }


def read_messages(url):
    client = ANTHROPIC.with_options(base_url=url)
    with client.messages.stream(
        model="m", max_tokens=1000, messages=[{"role": "user", "content": QUESTION}]
    ) as stream:
        for _ in stream:
            pass
        message = stream.get_final_message()
    blocks = message.content
    usage = message.usage
    read = number(usage, "cache_read_input_tokens")
    written = number(usage, "cache_creation_input_tokens")
    return {
        "text": "".join(block.text for block in blocks if block.type == "text"),
        "reasoning": "".join(block.thinking for block in blocks if block.type == "thinking"),
        "calls": [
            [block.name, json.dumps(block.input)] for block in blocks if block.type == "tool_use"
        ],
        "complete": bool(message.stop_reason),
        "usage": {
            "input": number(usage, "input_tokens") + read + written,
            "cache_read": read,
            "cache_write": written,
            "output": number(usage, "output_tokens"),
            "reasoning": number(usage, "output_tokens_details", "thinking_tokens"),
        },
    }


def read_gemini(url):
    stream = GEMINI.models.generate_content_stream(
        model="gemini-3-pro",
        contents=QUESTION,
        config=types.GenerateContentConfig(
            http_options=types.HttpOptions(base_url=url, timeout=TIMEOUT_SECONDS * 1000)
        ),
    )
    texts, reasoning, calls, usage, complete = [], [], [], None, False
    for chunk in stream:
        usage = chunk.usage_metadata or usage
        for candidate in chunk.candidates or []:
            if candidate.index:
                continue
            complete = complete or bool(candidate.finish_reason)
            for part in (candidate.content and candidate.content.parts) or []:
                if part.function_call:
                    calls.append([part.function_call.name, json.dumps(part.function_call.args)])
                elif part.text:
                    (reasoning if part.thought else texts).append(part.text)
    return {
        "text": "".join(texts),
        "reasoning": "".join(reasoning),
        "calls": calls,
        "complete": complete,
        "usage": {
            "input": number(usage, "prompt_token_count")
            + number(usage, "tool_use_prompt_token_count"),
            "cache_read": number(usage, "cached_content_token_count"),
            "cache_write": 0,
            "output": number(usage, "candidates_token_count")
            + number(usage, "thoughts_token_count"),
            "reasoning": number(usage, "thoughts_token_count"),
        },
    }


READERS = {
    "openai-chat": read_chat,
    "openai-responses": read_responses,
    # The helpers that add up for their user, and are stricter about what comes first.
    "openai-chat accumulated": accumulate_chat,
    "openai-responses accumulated": accumulate_responses,
    "anthropic-messages": read_messages,
    "gemini-generate": read_gemini,
}


def main():
    signal.alarm(TOTAL_SECONDS)
    for line in sys.stdin:
        job = json.loads(line)
        try:
            result = READERS[job["reader"]](job["url"])
        except Exception as error:  # Whatever it is, it is what a user of the SDK would get.
            result = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps({"name": job["name"], **result}), flush=True)


main()
