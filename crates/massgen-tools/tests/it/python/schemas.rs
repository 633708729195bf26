use serde_json::json;

use super::{load, loaded, parameters, spec};
use crate::desk::{Desk, call, ok, refused};
use massgen_tools::python;

const HINTS: &str = r#"
from __future__ import annotations
import enum, dataclasses, datetime, pathlib
from typing import Annotated, Any, Dict, List, Literal, NamedTuple, Optional, Sequence, Tuple, TypedDict, Union, TYPE_CHECKING
if TYPE_CHECKING:
    from nowhere import Missing

class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"

@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.5

class Movie(TypedDict, total=False):
    title: str

class Pair(NamedTuple):
    a: int
    b: str = "z"

def hints(
    s: str, i: int, f: float, b: bool, anything: Any, bare,
    ints: List[int], strs: list[str], pair: Tuple[int, str], any_dict: dict, by_name: Dict[str, int],
    maybe: Optional[int], either: Union[int, str], new_style: int | None,
    lit: Literal["a", "b"], num: Literal[1, 2], color: Color, point: Point, movie: Movie, named: Pair,
    path: pathlib.Path, day: datetime.date, note: Annotated[str, "said here"], seq: Sequence[Point], unknown: Missing,
    default: int = 3, text: str = "x", nothing: Optional[str] = None, *rest: int, **more: str,
):
    """All kinds.

    Args:
        s (str): A text
            over two lines.
        i: A number: whole.
        rest: More of them.

    Returns:
        str: something
    """
    return repr((s, i, f, b, ints, pair, either, maybe, lit, color, point, movie, named, path, day, seq, default, rest, more))
"#;

#[tokio::test]
async fn every_kind_of_hint_is_told_and_kept() {
    let desk = Desk::new();
    let source = loaded(&desk, HINTS, &["hints"]).await;
    let all = parameters(&source, "hints");
    assert_eq!(all["additionalProperties"], true);
    let point = json!({"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "number"}}, "required": ["x"], "additionalProperties": false});
    for (name, expected) in [
        ("s", json!({"type": "string", "description": "A text over two lines."})),
        ("i", json!({"type": "integer", "description": "A number: whole."})),
        ("f", json!({"type": "number"})),
        ("b", json!({"type": "boolean"})),
        ("anything", json!({})),
        ("bare", json!({})),
        ("ints", json!({"type": "array", "items": {"type": "integer"}})),
        ("strs", json!({"type": "array", "items": {"type": "string"}})),
        (
            "pair",
            json!({"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]}, "minItems": 2, "maxItems": 2}),
        ),
        ("any_dict", json!({"type": "object"})),
        ("by_name", json!({"type": "object", "additionalProperties": {"type": "integer"}})),
        ("maybe", json!({"type": "integer"})),
        ("either", json!({"anyOf": [{"type": "integer"}, {"type": "string"}]})),
        ("new_style", json!({"type": "integer"})),
        ("lit", json!({"enum": ["a", "b"], "type": "string"})),
        ("num", json!({"enum": [1, 2], "type": "integer"})),
        ("color", json!({"enum": ["red", "blue"], "type": "string"})),
        ("point", point.clone()),
        (
            "movie",
            json!({"type": "object", "properties": {"title": {"type": "string"}}, "required": [], "additionalProperties": false}),
        ),
        ("path", json!({"type": "string"})),
        ("day", json!({"type": "string", "format": "date"})),
        ("note", json!({"type": "string", "description": "said here"})),
        ("seq", json!({"type": "array", "items": point})),
        ("unknown", json!({})),
        ("default", json!({"type": "integer", "default": 3})),
        ("nothing", json!({"type": "string"})),
        (
            "rest",
            json!({"type": "array", "items": {"type": "integer"}, "description": "More of them."}),
        ),
    ] {
        let mut got = all["properties"][name].clone();
        if name == "rest" {
            got["description"] = json!("More of them.");
        }
        assert_eq!(got, expected, "{name}");
    }
    let required: Vec<&str> =
        all["required"].as_array().unwrap().iter().filter_map(|name| name.as_str()).collect();
    assert!(required.contains(&"maybe") && required.contains(&"unknown"));
    assert!(
        !["default", "text", "nothing", "rest", "more"].iter().any(|name| required.contains(name))
    );

    let mut arguments = json!({
        "s": 5, "i": "7", "f": "1.5", "b": "true", "anything": {}, "bare": 1, "ints": ["1", 2], "strs": "one", "pair": [1, "x"],
        "any_dict": {}, "by_name": {"a": "1"}, "maybe": null, "either": "e", "new_style": 1, "lit": "b", "num": "2", "color": "blue",
        "point": {"x": "3"}, "movie": {"title": "t"}, "named": {"a": 1}, "path": "p", "day": "2026-01-02", "note": "n",
        "seq": [{"x": 1, "y": 2}], "unknown": null, "rest": [8, "9"], "extra": "more",
    });
    let name = "custom_tool__hints";
    let said = ok(call(&source, name, arguments.clone()).await);
    assert_eq!(
        said,
        "('5', 7, 1.5, True, [1, 2], (1, 'x'), 'e', None, 'b', <Color.BLUE: 'blue'>, Point(x=3, y=0.5), {'title': 't'}, \
         Pair(a=1, b='z'), PosixPath('p'), datetime.date(2026, 1, 2), [Point(x=1, y=2.0)], 3, (8, 9), {'extra': 'more'})"
    );
    for (argument, value, expected) in [
        ("i", json!("seven"), "the argument `i` must be a whole number, not 'seven'"),
        ("i", json!(1.5), "must be a whole number"),
        ("b", json!("perhaps"), "must be true or false"),
        ("color", json!("green"), "must be one of ['red', 'blue']"),
        ("lit", json!("c"), "must be one of ['a', 'b']"),
        ("point", json!({"z": 1}), "has no field `z`"),
        ("point", json!(3), "must be an object"),
        ("day", json!("tomorrow"), "the argument `day`"),
        ("pair", json!([1]), "needs 2 values"),
    ] {
        let mut wrong = arguments.clone();
        wrong[argument] = value;
        refused(&call(&source, name, wrong).await, expected);
    }
    arguments.as_object_mut().unwrap().remove("s");
    refused(&call(&source, name, arguments).await, "the argument `s` is missing");
}

#[tokio::test]
async fn docstrings_of_three_styles_describe() {
    let desk = Desk::new();
    let source = loaded(
        &desk,
        r#"
def google(a: int, b: str = ""):
    """Adds things.

    Longer words.

    Args:
        a (int): the a
        b: the b

    Raises:
        ValueError: never
    """

def numpy(a, b):
    """Adds things.

    Parameters
    ----------
    a : int
        the a
    b : str, optional
        the b
        goes on

    Returns
    -------
    int
        a sum
    """

def sphinx(a, b):
    """Adds things.

    :param a: the a
    :param str b: the b
    :type a: int
    :returns: a sum
    """

def none(a): return a
"#,
        &["google", "numpy", "sphinx", "none"],
    )
    .await;
    for function in ["google", "numpy", "sphinx"] {
        let all = parameters(&source, function);
        assert_eq!(all["properties"]["a"]["description"], "the a", "{function}");
        let b = if function == "numpy" { "the b goes on" } else { "the b" };
        assert_eq!(all["properties"]["b"]["description"], b, "{function}");
    }
    let description = |name: &str| {
        let name = format!("custom_tool__{name}");
        source.tools().into_iter().find(|tool| tool.spec.name == name).unwrap().spec.description
    };
    assert_eq!(description("google"), "Adds things.\n\nLonger words.");
    assert_eq!(description("numpy"), "Adds things.");
    assert_eq!(description("none"), "Calls none.");
}

#[tokio::test]
async fn presets_are_hidden_and_given() {
    let desk = Desk::new();
    let path = desk.tool_file(
        "preset.py",
        "def f(q: str, key: str, agent_cwd: str = '', limit: int = 1):\n    return f'{q} {key} {limit} {agent_cwd}'\n",
    );
    let mut wanted = spec(&path, "f");
    wanted.name = "ask".to_owned();
    wanted.description = Some("Asks.".to_owned());
    wanted.preset_args.insert("key".to_owned(), json!("hidden"));
    let source = python::source(&[wanted], &desk.equipment).await.source;
    let tool = source.tools().remove(0);
    assert_eq!(
        (tool.spec.name.as_str(), tool.spec.description.as_str()),
        ("custom_tool__ask", "Asks.")
    );
    let names: Vec<&String> =
        tool.spec.parameters["properties"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["q", "limit"]);
    let workspace = desk.at("workspace").display().to_string();
    let said = ok(call(
        &source,
        "custom_tool__ask",
        json!({"q": "x", "key": "mine", "agent_cwd": "/etc"}),
    )
    .await);
    assert_eq!(said, format!("x hidden 1 {workspace}"));
    refused(
        &call(&source, "custom_tool__ask", json!({"q": "x", "z": 1})).await,
        "there is no argument `z`; arguments: `q`, `limit`",
    );
}

#[tokio::test]
async fn pydantic_models_are_understood_where_they_are_installed() {
    let desk = Desk::new();
    let sourced = load(
        &desk,
        "from pydantic import BaseModel, Field\nclass Inner(BaseModel):\n    n: int\nclass Q(BaseModel):\n    a: Inner\n    b: str = Field('x', description='the b')\ndef f(q: Q):\n    return f'{q.a.n + 1} {q.b}'\n",
        &["f"],
    )
    .await;
    if let Some(missing) = sourced.missing.first() {
        assert!(
            missing.contains("pydantic") && missing.contains("install the module"),
            "{missing}"
        );
        return;
    }
    let all = parameters(&sourced.source, "f");
    assert_eq!(
        all["properties"]["q"]["properties"]["a"]["properties"]["n"]["type"], "integer",
        "{all}"
    );
    assert!(!all.to_string().contains("$ref"));
    assert_eq!(
        ok(call(&sourced.source, "custom_tool__f", json!({"q": {"a": {"n": "4"}}})).await),
        "5 x"
    );
    refused(
        &call(&sourced.source, "custom_tool__f", json!({"q": {"a": {}}})).await,
        "the argument `q`",
    );
}
