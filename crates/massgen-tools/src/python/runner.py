"""Loads functions of the user's and calls them.

Reads one JSON object a line: `load` once, then `call` and `cancel`. Writes one JSON object a
line. Both go over copies of standard input and output made before any code of the user's runs;
what that code prints is passed on as output of the call it belongs to.
"""

import asyncio
import concurrent.futures
import contextvars
import dataclasses
import importlib
import importlib.util
import inspect
import io
import json
import os
import pathlib
import sys
import threading
import traceback
import types

CALLS_MAX = 16  # Side by side; more wait.
RESULT_MAX = 1_000_000  # Characters; the rest is cut and said to be.
PRINTED_MAX = 256_000  # Characters of one call that are passed on.
MEDIA_MAX = 4  # Pictures of one result.
MEDIA_LENGTH_MAX = 3_000_000  # Characters of one picture in base64.
FRAMES_MAX = 8

CALL = contextvars.ContextVar("call", default=None)
FUNCTIONS, PROBLEMS = {}, {}


def module_of(name, source):
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, f"<{name}>", "exec"), module.__dict__)
    return module


class Wire:
    """The line to the program that started this one."""

    def __init__(self):
        self.requests = os.fdopen(os.dup(0), "rb")
        self.replies = os.dup(1)
        self.lock = threading.Lock()
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        # What is written below Python's own streams, by C code or child processes.
        os.dup2(2, 1)

    def send(self, **message):
        line = json.dumps(message, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n"
        with self.lock:
            try:
                while line:
                    line = line[os.write(self.replies, line):]
            except OSError:
                # Nobody can be told anything any more; the end of the process is noticed.
                os._exit(70)


class Printed(io.TextIOBase):
    """Standard output and error as functions see them."""

    encoding, errors = "utf-8", "replace"

    def __init__(self, wire):
        self.wire = wire
        self.buffer = PrintedBytes(self)

    def writable(self):
        return True

    def fileno(self):
        return 2

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        call = CALL.get()
        if call is None:
            os.write(2, text.encode("utf-8", "replace"))
        else:
            call.printed(text)
        return len(text)


class PrintedBytes(io.RawIOBase):
    def __init__(self, printed):
        self.printed = printed

    def writable(self):
        return True

    def write(self, piece):
        piece = bytes(piece)
        self.printed.write(piece.decode("utf-8", "replace"))
        return len(piece)


class Call:
    """One call that is being made."""

    def __init__(self, wire, number):
        self.wire, self.number = wire, number
        self.pieces, self.waiting, self.n_printed = [], "", 0
        self.threaded = False
        self.lock = threading.Lock()

    def printed(self, text):
        with self.lock:
            self.waiting += text
            if "\n" in self.waiting or len(self.waiting) > 4_096:
                self.flush()

    def flush(self):
        text, self.waiting = self.waiting[: max(0, PRINTED_MAX - self.n_printed)], ""
        self.n_printed += len(text)
        if text:
            self.wire.send(id=self.number, out=text)

    def piece(self, value):
        text, media = shown(value)
        self.pieces.append((value, text, media))
        self.wire.send(id=self.number, out=text[:4_096])

    def end(self, value):
        with self.lock:
            self.flush()
        text, media = shown(value) if value is not None or not self.pieces else ("", [])
        if self.pieces:
            between = "" if all(isinstance(piece, str) for piece, _, _ in self.pieces) else "\n"
            said = [said for _, said, _ in self.pieces] + ([text] if text else [])
            text, media = between.join(said), [m for _, _, ms in self.pieces for m in ms] + media
        if len(text) > RESULT_MAX:
            text = text[:RESULT_MAX] + f"\n[cut: the result has {len(text)} characters, {RESULT_MAX} are shown]"
        self.wire.send(id=self.number, result=text, media=media[:MEDIA_MAX])

    def fail(self, error):
        with self.lock:
            self.flush()
        self.wire.send(id=self.number, failed=told(error))


def shown(value):
    """A result as text and pictures."""
    blocks = getattr(value, "output_blocks", None)
    if isinstance(blocks, (list, tuple)):
        texts, media = [], []
        for block in blocks:
            data, kind = getattr(block, "data", block), str(getattr(block, "block_type", "")) or type(block).__name__
            if "image" in kind.lower() and isinstance(data, str) and data:
                if len(data) <= MEDIA_LENGTH_MAX and len(media) < MEDIA_MAX:
                    media.append(data)
                else:
                    texts.append(f"[a picture of {len(data)} characters is left out]")
            else:
                texts.append(shown(data)[0])
        return "\n".join(text for text in texts if text), media
    if value is None:
        return "", []
    if isinstance(value, str):
        return value, []
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace"), []
    return json.dumps(value, ensure_ascii=False, indent=2, default=written, skipkeys=True), []


def written(value):
    """For what JSON has no form of its own."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if hasattr(value, "model_dump"):
        return value.model_dump()
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


def told(error):
    """The error with the lines of the user's code that led to it."""
    if isinstance(error, SystemExit):
        return f"the function called sys.exit({error.code!r})"
    if isinstance(error, Refused):
        return str(error)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if not frame.filename.startswith("<") and "importlib" not in frame.filename
              and not frame.filename.endswith(("concurrent/futures/thread.py", "asyncio/runners.py"))]
    lines = traceback.format_list(frames[-FRAMES_MAX:])
    return "".join(lines + traceback.format_exception_only(type(error), error)).strip()[-6_000:]


class Refused(Exception):
    """What the model or the config got wrong, in words."""


def load(spec):
    """The function a tool names."""
    path, name = spec["path"], spec["function"]
    module = import_from(path)
    function = module
    for part in name.split("."):
        function = getattr(function, part, None)
        if function is None:
            offered = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")
                       and getattr(value, "__module__", "") == module.__name__]
            there = f"; it has {', '.join(sorted(offered)[:12])}" if offered else ""
            raise Refused(f"has no function `{name}`{there}")
    if not callable(function):
        raise Refused(f"`{name}` is not a function")
    return function


def import_from(path):
    if not path:
        path = "massgen.tool"
    if not path.endswith(".py"):
        return importlib.import_module(path)
    file = pathlib.Path(path)
    if not file.is_file():
        # Configs name files of the package by their path in it.
        parts = file.with_suffix("").parts
        if "massgen" in parts:
            try:
                return importlib.import_module(".".join(parts[parts.index("massgen"):]))
            except ModuleNotFoundError:
                pass
        raise Refused("there is no such file")
    root, dotted = file.parent, file.stem
    while (root / "__init__.py").is_file():
        root, dotted = root.parent, f"{root.name}.{dotted}"
    for folder in (str(file.parent), str(root)):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    if "." in dotted:
        return importlib.import_module(dotted)
    known = f"tool_file_{abs(hash(str(file)))}"
    if known not in sys.modules:
        spec = importlib.util.spec_from_file_location(known, file)
        module = importlib.util.module_from_spec(spec)
        sys.modules[known] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[known]
            raise
    return sys.modules[known]


def load_all(wire, specs, schema):
    for spec in specs:
        wire.send(loading=spec["name"])
        try:
            function = load(spec)
            description, parameters = schema.describe(function, spec.get("preset", {}))
            FUNCTIONS[spec["name"]] = (function, spec)
            wire.send(loaded=spec["name"], description=description, parameters=parameters)
        except BaseException as error:
            PROBLEMS[spec["name"]] = told(error)
            wire.send(loaded=spec["name"], problem=told(error))
    wire.send(ready=True)


def bind(function, spec, arguments, given, schema):
    """Positional and named arguments for a call."""
    hints = schema.hints_of(function)
    signature = inspect.signature(function)
    parameters = signature.parameters
    preset, context = spec.get("preset", {}), getattr(function, "__context_params__", ())
    takes_more = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    hidden = {*preset, *schema.INJECTED, *context}
    arguments = {name: value for name, value in arguments.items() if name not in hidden}
    unknown = [name for name in arguments if name not in parameters]
    if unknown and not takes_more:
        takes = ", ".join(f"`{name}`" for name in parameters if name not in hidden) or "none"
        raise Refused(f"there is no argument `{unknown[0]}`; arguments: {takes}")
    bound = inspect.BoundArguments(signature, {})
    for name, parameter in parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            more = arguments.get(name)
            bound.arguments[name] = {
                **(more if isinstance(more, dict) else {}),
                **{name: arguments[name] for name in unknown},
                **{name: value for name, value in preset.items() if name not in parameters},
            }
        elif name in preset:
            bound.arguments[name] = preset[name]
        elif name in given and (name in schema.INJECTED or name in context):
            bound.arguments[name] = given[name]
        elif arguments.get(name) is not None or (name in arguments and parameter.default is parameter.empty):
            hint = hints.get(name, parameter.annotation)
            bound.arguments[name] = checked(name, arguments[name], hint, parameter, schema)
        elif name in context and parameter.default is parameter.empty:
            bound.arguments[name] = None
        elif parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL:
            raise Refused(f"the argument `{name}` is missing")
    bound.apply_defaults()
    return bound.args, bound.kwargs


def checked(name, value, hint, parameter, schema):
    if isinstance(hint, str):
        hint = parameter.empty
    try:
        if parameter.kind is parameter.VAR_POSITIONAL:
            values = value if isinstance(value, list) else [value]
            return tuple(schema.convert(item, hint) for item in values)
        return schema.convert(value, hint)
    except Exception as error:
        raise Refused(f"the argument `{name}` {error}") from None


async def make(call, request, given, pool, schema):
    try:
        if request["tool"] not in FUNCTIONS:
            raise Refused(PROBLEMS.get(request["tool"], f"there is no tool `{request['tool']}`"))
        function, spec = FUNCTIONS[request["tool"]]
        positional, named = bind(function, spec, request["arguments"], given, schema)
        inner = inspect.unwrap(function)
        if inspect.isasyncgenfunction(inner):
            value = function(*positional, **named)
        elif inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(getattr(inner, "__call__", None)):
            value = await function(*positional, **named)
        else:
            context = contextvars.copy_context()
            running = pool.submit(context.run, in_thread, call, function, positional, named)
            value = await asyncio.wrap_future(running)
        if inspect.isawaitable(value):
            value = await value
        if inspect.isasyncgen(value):
            async for piece in value:
                call.piece(piece)
            value = None
        call.end(value)
    except asyncio.CancelledError:
        # A thread cannot be ended; then this process has to be.
        call.wire.send(id=call.number, cancelled=not call.threaded)
    except BaseException as error:
        call.fail(error)


def in_thread(call, function, positional, named):
    call.threaded = True
    value = function(*positional, **named)
    if not inspect.isgenerator(value):
        return value
    while True:
        try:
            call.piece(next(value))
        except StopIteration as stop:
            return stop.value


async def serve(wire, schema):
    loop, tasks = asyncio.get_running_loop(), {}
    lines = asyncio.Queue()
    given = {}

    # Taken by a thread of its own: a function that blocks the loop must not block the end of it all.
    def read():
        try:
            for line in wire.requests:
                loop.call_soon_threadsafe(lines.put_nowait, line)
        finally:
            # Standard input is closed: whoever listened is gone.
            os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=CALLS_MAX)
    places = asyncio.Semaphore(CALLS_MAX)

    async def one(number, request):
        call = Call(wire, number)
        try:
            async with places:
                CALL.set(call)
                await make(call, request, given, pool, schema)
        finally:
            tasks.pop(number, None)

    while True:
        request = json.loads(await lines.get())
        if request["op"] == "load":
            given = request["given"]
            load_all(wire, request["tools"], schema)
        elif request["op"] == "call":
            tasks[request["id"]] = asyncio.create_task(one(request["id"], request))
        elif request["op"] == "cancel" and request["id"] in tasks:
            tasks[request["id"]].cancel()


def main():
    schema_source, standin_source, path = sys.argv[1:4]
    sys.argv = ["python3"]
    # Started apart from all settings, so that no file of the workspace is taken for a module.
    sys.path[:] = json.loads(path) or sys.path
    wire = Wire()
    schema = module_of("massgen_tool_schema", schema_source)
    if importlib.util.find_spec("massgen") is None:
        module_of("massgen_tool_standin", standin_source).install()
    sys.stdout = sys.stderr = Printed(wire)
    asyncio.run(serve(wire, schema))


main()
