"""What a function takes, as JSON Schema, and JSON values back as what it takes."""

import collections.abc
import dataclasses
import datetime
import enum
import inspect
import pathlib
import re
import types
import typing

# Names that the runner gives a function which takes them; the model does not see them.
INJECTED = ("agent_cwd",)
DESCRIPTION_MAX = 4_000
PARAMETER_TEXT_MAX = 500
DEPTH_MAX = 8

PLAIN = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    dict: {"type": "object"},
    list: {"type": "array"},
    tuple: {"type": "array"},
    set: {"type": "array"},
    frozenset: {"type": "array"},
    bytes: {"type": "string"},
    pathlib.Path: {"type": "string"},
    pathlib.PurePath: {"type": "string"},
    datetime.datetime: {"type": "string", "format": "date-time"},
    datetime.date: {"type": "string", "format": "date"},
    type(None): {"type": "null"},
}
is_typed_dict = getattr(typing, "is_typeddict", lambda hint: False)
# `Required` and `NotRequired`, where Python has them.
MARKS = tuple(mark for mark in (getattr(typing, name, None) for name in ("Required", "NotRequired")) if mark)
SEQUENCES = (list, set, frozenset, collections.abc.Sequence, collections.abc.Iterable,
             collections.abc.Collection, collections.abc.Set, collections.abc.MutableSequence)
MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


def hints_of(function):
    """Resolved type hints; those that cannot be resolved are left out."""
    inner = inspect.unwrap(function)
    try:
        return typing.get_type_hints(inner, include_extras=True)
    except Exception:  # A name that exists for type checkers only: take the others one by one.
        found = {}
        for name, hint in getattr(inner, "__annotations__", {}).items():
            if isinstance(hint, str):
                try:
                    hint = eval(hint, getattr(inner, "__globals__", {}))
                except Exception:
                    continue
            found[name] = hint
        return found


def is_pydantic(hint):
    return isinstance(hint, type) and hasattr(hint, "model_json_schema") and hasattr(hint, "model_validate")


def is_union(hint):
    origin = typing.get_origin(hint)
    return origin is typing.Union or origin is getattr(types, "UnionType", None)


def schema_of(hint, depth=0):
    """JSON Schema of a type hint; the empty one, which allows anything, for what is not known."""
    if hint in (inspect.Parameter.empty, typing.Any, object) or depth > DEPTH_MAX:
        return {}
    if hasattr(hint, "__supertype__"):
        return schema_of(hint.__supertype__, depth)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        schema = schema_of(args[0], depth)
        text = annotated_text(args[1:])
        return {**schema, "description": text} if text else schema
    if origin is not None and origin in MARKS:
        return schema_of(args[0], depth)
    if origin is typing.Literal:
        return enumeration(list(args))
    if is_union(hint):
        return union_of(args, depth)
    if origin in SEQUENCES:
        return {"type": "array", "items": schema_of(args[0], depth + 1)} if args else {"type": "array"}
    if origin is tuple:
        if len(args) == 2 and args[1] is Ellipsis:
            return {"type": "array", "items": schema_of(args[0], depth + 1)}
        items = [schema_of(arg, depth + 1) for arg in args]
        return {"type": "array", "items": {"anyOf": items} if items else {}, "minItems": len(items), "maxItems": len(items)}
    if origin in MAPPINGS:
        values = schema_of(args[1], depth + 1) if len(args) == 2 else {}
        return {"type": "object", "additionalProperties": values or True}
    if not isinstance(hint, type):
        return {}
    if issubclass(hint, enum.Enum):
        return enumeration([member.value for member in hint])
    if is_pydantic(hint):
        return inlined(hint.model_json_schema())
    if dataclasses.is_dataclass(hint):
        hints = hints_of(hint)
        fields = [field for field in dataclasses.fields(hint) if field.init]
        needed = [f.name for f in fields
                  if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]
        return record({f.name: schema_of(hints.get(f.name, typing.Any), depth + 1) for f in fields}, needed)
    if is_typed_dict(hint):
        hints = hints_of(hint)
        needed = [name for name in hints if name in hint.__required_keys__]
        return record({name: schema_of(inner, depth + 1) for name, inner in hints.items()}, needed)
    if issubclass(hint, tuple) and hasattr(hint, "_fields"):
        hints = hints_of(hint)
        needed = [name for name in hint._fields if name not in hint._field_defaults]
        return record({name: schema_of(hints.get(name, typing.Any), depth + 1) for name in hint._fields}, needed)
    for known, schema in PLAIN.items():
        if hint is known:
            return dict(schema)
    for known in (bool, int, float, str, pathlib.PurePath, dict, list):
        if issubclass(hint, known):
            return dict(PLAIN.get(known, {"type": "string"}))
    return {}


def record(properties, needed):
    return {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}


def enumeration(values):
    names = {str: "string", bool: "boolean", int: "integer", float: "number"}
    kinds = {names.get(type(value)) for value in values}
    schema = {"enum": [value if type(value) in names or value is None else str(value) for value in values]}
    if len(kinds) == 1 and None not in kinds:
        schema["type"] = kinds.pop()
    return schema


def union_of(args, depth):
    inner = [schema_of(arg, depth + 1) for arg in args if arg is not type(None)]
    if {} in inner:
        return {}
    # That something may be left out is said by `required`; not all providers take `null`.
    return inner[0] if len(inner) == 1 else {"anyOf": inner}


def inlined(schema):
    """The schema with its `$ref`s put in place, since not all providers follow them."""
    definitions = schema.pop("$defs", {})

    def put(part, depth):
        if isinstance(part, list):
            return [put(item, depth) for item in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part and depth <= DEPTH_MAX:
            target = definitions.get(part["$ref"].rsplit("/", 1)[-1], {})
            rest = {key: value for key, value in part.items() if key != "$ref"}
            return {**put(target, depth + 1), **put(rest, depth)}
        if "$ref" in part:
            return {}
        return {key: put(value, depth) for key, value in part.items()}

    return put(schema, 0)


def annotated_text(metadata):
    for item in metadata:
        text = item if isinstance(item, str) else getattr(item, "description", None) or getattr(item, "documentation", None)
        if isinstance(text, str):
            return text[:PARAMETER_TEXT_MAX]
    return ""


def describe(function, preset):
    """Description and parameters of a function as the model sees them."""
    doc = inspect.getdoc(function) or ""
    description, texts = read_docstring(doc)
    hints = hints_of(function)
    hidden = set(preset) | set(INJECTED) | set(getattr(function, "__context_params__", ()))
    properties, needed, open_ended = {}, [], False
    for name, parameter in inspect.signature(function).parameters.items():
        if name in hidden:
            continue
        hint = hints.get(name, inspect.Parameter.empty)
        if parameter.kind is parameter.VAR_KEYWORD:
            open_ended = True
            description = f"{description}\nFurther named arguments are passed on.".strip()
            continue
        schema = schema_of(hint)
        if parameter.kind is parameter.VAR_POSITIONAL:
            schema = {"type": "array", "items": schema, "description": "Further values, passed on in their order."}
        text = texts.get(name)
        if text and "description" not in schema:
            schema["description"] = text[:PARAMETER_TEXT_MAX]
        if parameter.default is not parameter.empty:
            default = plain(parameter.default)
            if default is not None:
                schema["default"] = default
        elif parameter.kind is not parameter.VAR_POSITIONAL:
            needed.append(name)
        properties[name] = schema
    parameters = {"type": "object", "properties": properties, "required": needed}
    parameters["additionalProperties"] = open_ended
    return description[:DESCRIPTION_MAX], parameters


def plain(value):
    """A default as JSON, or nothing if it cannot be written so."""
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, (str, int, bool)) or (isinstance(value, float) and value == value and abs(value) != float("inf")):
        return value
    if isinstance(value, (list, tuple)) and all(isinstance(item, (str, int, bool)) for item in value):
        return list(value)
    return None


SECTION = re.compile(r"^(Args|Arguments|Parameters|Params|Returns?|Yields?|Raises|Examples?|Notes?|Attributes|Keyword Args):\s*$")
FIELD = re.compile(r"^:(\w+)(?:\s+([^:]*))?:\s*(.*)$")
ITEM = re.compile(r"^\*{0,2}(\w+)\s*(?:\(([^)]*)\))?\s*:\s*(.*)$")
NUMPY_ITEM = re.compile(r"^\*{0,2}(\w+)\s*(?::.*)?$")


def read_docstring(doc):
    """Text before the first section, and a text for each parameter: Google, NumPy or Sphinx style."""
    lines = doc.splitlines()
    texts, head, section, current, base = {}, [], None, None, None
    at = 0
    while at < len(lines):
        line = lines[at]
        stripped = line.strip()
        underlined = at + 1 < len(lines) and stripped and re.fullmatch(r"-{3,}", lines[at + 1].strip())
        field = FIELD.match(stripped)
        if underlined:
            section, current, base = ("numpy", stripped.lower()), None, None
            at += 2
            continue
        if SECTION.match(line):
            section, current, base = ("google", stripped[:-1].lower()), None, None
        elif field:
            section, current = ("sphinx", field[1]), None
            if field[1] in ("param", "parameter", "arg", "argument", "key", "keyword") and field[2]:
                current = field[2].split()[-1].lstrip("*")
                texts[current] = field[3]
        elif section is None:
            head.append(line)
        elif stripped:
            current, base = take_item(section, line, stripped, texts, current, base)
        at += 1
    return "\n".join(head).strip(), {name: " ".join(text.split()) for name, text in texts.items() if text.strip()}


def take_item(section, line, stripped, texts, current, base):
    style, name = section
    indent = len(line) - len(line.lstrip())
    if style == "sphinx":
        if current:
            texts[current] += " " + stripped
        return current, base
    if name not in ("args", "arguments", "parameters", "params", "keyword args", "other parameters"):
        return None, base
    base = indent if base is None else base
    if indent <= base:
        item = (ITEM if style == "google" else NUMPY_ITEM).match(stripped)
        if item:
            texts[item[1]] = (item[3] or "") if style == "google" else ""
            return item[1], base
    if current:
        texts[current] += " " + stripped
    return current, base


def convert(value, hint, depth=0):
    """A JSON value as the hint wants it. Raises `ValueError` in words for the model."""
    if hint in (inspect.Parameter.empty, typing.Any, object) or depth > DEPTH_MAX:
        return value
    if hasattr(hint, "__supertype__"):
        return convert(value, hint.__supertype__, depth)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return convert(value, args[0], depth)
    if origin is not None and origin in MARKS:
        return convert(value, args[0], depth)
    if origin is typing.Literal:
        return one_of(value, list(args))
    if is_union(hint):
        return convert_union(value, args, depth)
    if origin in SEQUENCES or hint in (list, set, frozenset):
        items = value if isinstance(value, list) else [value]
        items = [convert(item, args[0], depth + 1) for item in items] if args else items
        return {set: set, frozenset: frozenset}.get(origin or hint, list)(items)
    if origin is tuple or hint is tuple:
        items = value if isinstance(value, list) else [value]
        if args and args[-1] is Ellipsis:
            return tuple(convert(item, args[0], depth + 1) for item in items)
        if args and len(args) != len(items):
            raise ValueError(f"needs {len(args)} values, got {len(items)}")
        return tuple(convert(item, arg, depth + 1) for item, arg in zip(items, args)) if args else tuple(items)
    if origin in MAPPINGS or hint is dict:
        if not isinstance(value, dict):
            raise ValueError(f"must be an object, not {value!r:.80}")
        return {key: convert(item, args[1], depth + 1) for key, item in value.items()} if len(args) == 2 else value
    return convert_class(value, hint, depth) if isinstance(hint, type) else value


def convert_union(value, args, depth):
    if value is None and type(None) in args:
        return None
    # A value that already is of one of the types stays as it is.
    for arg in args:
        if isinstance(arg, type) and type(value) is arg:
            return value
    problem = ValueError(f"does not fit: {value!r:.80}")
    for arg in args:
        if arg is not type(None):
            try:
                return convert(value, arg, depth + 1)
            except (ValueError, TypeError) as error:
                problem = error
    raise problem


def convert_class(value, hint, depth):
    if issubclass(hint, enum.Enum):
        for member in hint:
            if value == member.value or value == member.name or str(value) == str(member.value):
                return member
        raise ValueError(f"must be one of {[member.value for member in hint]}, not {value!r:.80}")
    if is_pydantic(hint):
        return hint.model_validate(value)
    if dataclasses.is_dataclass(hint) or is_typed_dict(hint) or hasattr(hint, "_fields"):
        if not isinstance(value, dict):
            raise ValueError(f"must be an object, not {value!r:.80}")
        hints = hints_of(hint)
        unknown = [name for name in value if name not in hints and not is_typed_dict(hint)]
        if unknown:
            raise ValueError(f"has no field `{unknown[0]}`; fields are {sorted(hints)}")
        fields = {name: convert(item, hints.get(name, typing.Any), depth + 1) for name, item in value.items()}
        return hint(**fields)
    if hint is bool:
        return one_of(value, [True, False]) if not isinstance(value, str) else truth(value)
    if hint is int and not isinstance(value, bool):
        if isinstance(value, float) and not value.is_integer():
            raise ValueError(f"must be a whole number, not {value}")
        return whole(value)
    if hint is float and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        return number(value)
    if hint is str:
        return value if isinstance(value, str) or value is None else str(value)
    if hint in (datetime.datetime, datetime.date):
        return hint.fromisoformat(value)
    if issubclass(hint, pathlib.PurePath):
        return hint(value)
    if hint is bytes and isinstance(value, str):
        return value.encode()
    return value


def whole(value):
    try:
        return int(value)
    except (ValueError, TypeError):
        raise ValueError(f"must be a whole number, not {value!r:.80}") from None


def number(value):
    try:
        return float(value)
    except (ValueError, TypeError):
        raise ValueError(f"must be a number, not {value!r:.80}") from None


def truth(text):
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.strip().lower() not in known:
        raise ValueError(f"must be true or false, not {text!r:.80}")
    return known[text.strip().lower()]


def one_of(value, allowed):
    for item in allowed:
        if type(item) is type(value) and item == value:
            return item
    for item in allowed:
        if str(item) == str(value):
            return item
    raise ValueError(f"must be one of {allowed}, not {value!r:.80}")
