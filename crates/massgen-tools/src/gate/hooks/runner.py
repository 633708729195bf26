"""Runs one hook of the user's: an event on standard input, a decision on standard output.

Arguments: the file of the handler (or nothing), its module (or nothing), its function.
What the handler prints goes to standard error; the answer is one line of JSON of ours.
"""

import asyncio
import dataclasses
import importlib
import importlib.util
import inspect
import json
import os
import sys
import types

FIELDS = (
    "allowed", "decision", "reason", "arguments", "updated_input", "modified_args",
    "replace", "append", "inject",
)


class Event(dict):
    """What happens, by key and by attribute."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


@dataclasses.dataclass
class HookResult:
    """What handlers written for the Python MassGen return."""

    allowed: bool = True
    decision: str = "allow"
    reason: str = None
    updated_input: dict = None
    modified_args: object = None
    inject: dict = None
    metadata: dict = dataclasses.field(default_factory=dict)

    @classmethod
    def allow(cls, **more):
        return cls(**more)

    @classmethod
    def deny(cls, reason=None, **more):
        return cls(allowed=False, decision="deny", reason=reason, **more)

    @classmethod
    def ask(cls, reason=None, **more):
        return cls(decision="ask", reason=reason, **more)


def stand_in():
    """Handlers import their types from the package, which need not be installed."""
    try:
        if importlib.util.find_spec("massgen") is not None:
            return
    except (ImportError, ValueError):
        pass
    for name in ("massgen", "massgen.mcp_tools", "massgen.mcp_tools.hooks"):
        module = types.ModuleType(name)
        module.__path__ = []
        sys.modules[name] = module
    hooks = sys.modules["massgen.mcp_tools.hooks"]
    hooks.HookEvent, hooks.HookResult = Event, HookResult


def handler_of(file, module, function):
    if file:
        sys.path.insert(0, os.path.dirname(file))
        spec = importlib.util.spec_from_file_location("massgen_hook", file)
        if spec is None or spec.loader is None:
            raise ImportError(f"{file} is no Python file")
        loaded = importlib.util.module_from_spec(spec)
        sys.modules["massgen_hook"] = loaded
        spec.loader.exec_module(loaded)
    else:
        loaded = importlib.import_module(module)
    return getattr(loaded, function)


def plain(result):
    """Makes a map of whatever a handler returns."""
    if result is None:
        return {}
    if isinstance(result, bool):
        return {"allowed": result}
    if isinstance(result, str):
        return {"append": result}
    if dataclasses.is_dataclass(result):
        own = type(result) is HookResult
        result = {
            field.name: getattr(result, field.name) for field in dataclasses.fields(result)
        }
        # To say nothing is no word for it.
        if own and result["decision"] == "allow" and result["allowed"] and not result["reason"]:
            del result["decision"], result["allowed"]
    elif not isinstance(result, dict):
        result = vars(result)
    return {name: result[name] for name in FIELDS if result.get(name) is not None}


def main():
    answers = os.dup(1)
    os.dup2(2, 1)
    event = Event(json.load(sys.stdin))
    try:
        stand_in()
        result = handler_of(*sys.argv[1:4])(event)
        if inspect.isawaitable(result):

            async def wait():
                return await result

            result = asyncio.run(wait())
        answer = {"result": plain(result)}
        line = json.dumps(answer)
    except BaseException as error:  # Whatever it raises is told, `SystemExit` too.
        line = json.dumps({"error": f"{type(error).__name__}: {error}"})
    sys.stdout.flush()
    sys.stderr.flush()
    with os.fdopen(answers, "w", encoding="utf-8") as out:
        out.write(line)
    # Threads a handler left behind do not keep its answer.
    os._exit(0)


main()
