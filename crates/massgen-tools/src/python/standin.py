"""Stands in for the package `massgen` where it is not installed.

User files import their result types from it; these are ours, under the names such files use.
"""

import dataclasses
import sys
import types
import typing


@dataclasses.dataclass
class TextContent:
    data: str = ""
    block_type: str = "text"


@dataclasses.dataclass
class ImageContent:
    data: str = ""
    block_type: str = "image"


@dataclasses.dataclass
class AudioContent:
    data: str = ""
    block_type: str = "audio"


@dataclasses.dataclass
class MultimodalContent:
    data: typing.Any = None
    block_type: str = "multimodal"


@dataclasses.dataclass
class ExecutionResult:
    output_blocks: list = dataclasses.field(default_factory=list)
    meta_info: typing.Optional[dict] = None
    is_streaming: bool = False
    is_final: bool = True
    was_interrupted: bool = False
    is_log: bool = False


def context_params(*names):
    """Marks parameters that are given by the program, not by the model."""

    def mark(function):
        function.__context_params__ = set(getattr(function, "__context_params__", ())) | set(names)
        return function

    return mark


async def two_num_tool(x: int, y: int) -> ExecutionResult:
    """Adds two numbers.

    Args:
        x: First number
        y: Second number
    """
    return ExecutionResult(output_blocks=[TextContent(data=f"The sum of {x} and {y} is {x + y}")])


RESULTS = (TextContent, ImageContent, AudioContent, MultimodalContent, ExecutionResult)


def install():
    """Puts the package into `sys.modules`."""
    results = {kind.__name__: kind for kind in RESULTS}
    contents = {
        "massgen": {},
        "massgen.tool": {**results, "context_params": context_params, "two_num_tool": two_num_tool},
        "massgen.tool._result": results,
        "massgen.tool._decorators": {"context_params": context_params},
        "massgen.tool._basic": {"two_num_tool": two_num_tool},
        "massgen.tool._basic._two_num_tool": {"two_num_tool": two_num_tool},
    }
    for name, members in contents.items():
        module = types.ModuleType(name, "A stand-in for a package that is not installed.")
        module.__path__ = []
        module.__dict__.update(members)
        sys.modules[name] = module
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, module)
