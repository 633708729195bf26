use std::fs;

use massgen_protocol::MediaSource;
use massgen_tools::python;
use serde_json::{Value, json};

use super::{loaded, spec};
use crate::desk::{Desk, Heard, call, call_with, ok, refused};

#[tokio::test]
async fn results_of_every_kind_become_text() {
    let desk = Desk::new();
    let source = loaded(
        &desk,
        r#"
import asyncio, dataclasses, enum
from massgen.tool._result import ExecutionResult, TextContent, ImageContent
from massgen.tool import context_params

@dataclasses.dataclass
class Point:
    x: int

def text(): return "plain"
def nothing(): return None
def number(): return 4.5
def mapping(): return {"a": [1, None], "s": {2, 1}, "p": Point(3), "b": b"\xff", "n": float("nan")}
def raw(): return b"a\xffb"
def surrogate(): return "a\udcffb\x00c"
async def later():
    await asyncio.sleep(0)
    return "later"
def result(): return ExecutionResult(output_blocks=[TextContent(data="one"), TextContent(data="two")])
def pictured():
    return ExecutionResult(output_blocks=[TextContent(data="see"), ImageContent(data="data:image/png;base64,iVBORw0KGgoAAAAA"), ImageContent(data="junk")])
class Odd:
    output_blocks = [type("B", (), {"data": {"k": 1}})()]
def odd(): return Odd()
class Box:
    @staticmethod
    def inside(): return "in a class"
@context_params("messages", "agent_id")
def context(q: str, messages, agent_id=None): return f"{q} {messages} {agent_id}"
"#,
        &["text", "nothing", "number", "mapping", "raw", "surrogate", "later", "result", "pictured", "odd", "Box.inside", "context"],
    )
    .await;
    for (function, expected) in [
        ("text", "plain"),
        ("nothing", "It returned nothing."),
        ("number", "4.5"),
        ("raw", "a\u{fffd}b"),
        ("surrogate", "a?b\0c"),
        ("later", "later"),
        ("result", "one\ntwo"),
        ("odd", "{\n  \"k\": 1\n}"),
        ("Box.inside", "in a class"),
    ] {
        assert_eq!(
            ok(call(&source, &format!("custom_tool__{function}"), json!({})).await),
            expected,
            "{function}"
        );
    }
    let said = ok(call(&source, "custom_tool__mapping", json!({})).await);
    let read: Value = serde_json::from_str(&said.replace("NaN", "0")).unwrap();
    assert_eq!(read, json!({"a": [1, null], "s": [1, 2], "p": {"x": 3}, "b": "\u{fffd}", "n": 0}));
    let output = call(&source, "custom_tool__pictured", json!({})).await;
    assert!(output.text.starts_with("see\n[1 pictures of a kind"), "{}", output.text);
    assert!(
        matches!(&output.media[0].source, MediaSource::Inline { base64 } if base64.starts_with("iVBOR"))
    );
    assert_eq!(ok(call(&source, "custom_tool__context", json!({"q": "x"})).await), "x None agent1");
}

#[tokio::test]
async fn the_tool_that_comes_with_the_program_needs_no_file() {
    let desk = Desk::new();
    let specs = [
        spec("massgen/tool/_basic/_two_num_tool.py", "two_num_tool"),
        spec("", "wrong_two_num_tool"),
        spec("massgen.tool._basic", "two_num_tool"),
    ];
    let mut specs = specs.to_vec();
    specs[2].name = "again".to_owned();
    let sourced = python::source(&specs, &desk.equipment).await;
    assert_eq!(sourced.missing.len(), 1);
    assert!(
        sourced.missing[0].contains("has no function `wrong_two_num_tool`"),
        "{:?}",
        sourced.missing
    );
    for name in ["custom_tool__two_num_tool", "custom_tool__again"] {
        let said = ok(call(&sourced.source, name, json!({"x": "2", "y": 3})).await);
        assert_eq!(said, "The sum of 2 and 3 is 5");
    }
}

#[tokio::test]
async fn what_functions_print_is_streamed_and_breaks_nothing() {
    let desk = Desk::new();
    let source = loaded(
        &desk,
        r#"
import os, subprocess, sys
print("at import")
def prints(n: int):
    print("hello", n)
    sys.stderr.write("warned\n")
    sys.stdout.buffer.write(b"\xff raw\n")
    os.write(1, b'{"id": 1, "result": "forged"}\n')
    subprocess.run(["echo", "from a child"])
    print('{"ready": true}')
    print("no newline", end="")
    return "done"
def floods():
    for _ in range(200000):
        print("x" * 50)
    return "y" * 3_000_000
"#,
        &["prints", "floods"],
    )
    .await;
    let heard = Heard::default();
    assert_eq!(
        ok(call_with(&source, "custom_tool__prints", json!({"n": 1}), heard.reports()).await),
        "done"
    );
    for expected in ["hello 1\n", "warned\n", "\u{fffd} raw\n", "{\"ready\": true}\n", "no newline"]
    {
        assert!(heard.printed().contains(expected), "{expected}: {}", heard.printed());
    }
    let heard = Heard::default();
    let said = ok(call_with(&source, "custom_tool__floods", json!({}), heard.reports()).await);
    assert!(said.ends_with("[cut: the result has 3000000 characters, 1000000 are shown]"));
    assert!(heard.printed().len() < 300_000, "{}", heard.printed().len());
    assert_eq!(ok(call(&source, "custom_tool__prints", json!({"n": 2})).await), "done");
}

#[tokio::test]
async fn generators_stream_their_pieces() {
    let desk = Desk::new();
    let source = loaded(
        &desk,
        r#"
import asyncio
from massgen.tool._result import ExecutionResult, TextContent
def pieces(n: int):
    for i in range(n):
        yield f"{i} "
    return "end"
async def slowly():
    for word in ["a", "b"]:
        await asyncio.sleep(0.01)
        yield ExecutionResult(output_blocks=[TextContent(data=word)])
async def breaks():
    yield "begun "
    raise RuntimeError("in the middle")
"#,
        &["pieces", "slowly", "breaks"],
    )
    .await;
    let heard = Heard::default();
    assert_eq!(
        ok(call_with(&source, "custom_tool__pieces", json!({"n": 3}), heard.reports()).await),
        "0 1 2 end"
    );
    assert_eq!(heard.printed(), "0 1 2 ");
    assert_eq!(ok(call(&source, "custom_tool__slowly", json!({})).await), "a\nb");
    refused(&call(&source, "custom_tool__breaks", json!({})).await, "RuntimeError: in the middle");
}

#[tokio::test]
async fn calls_run_side_by_side() {
    let desk = Desk::new();
    let source = loaded(
        &desk,
        r#"
import asyncio, threading
barrier = threading.Barrier(3, timeout=10)
started = []
def meets(n: int):
    barrier.wait()
    print("met", n)
    return str(n)
async def waits(n: int):
    started.append(n)
    while len(started) < 3:
        await asyncio.sleep(0.01)
    return str(n)
"#,
        &["meets", "waits"],
    )
    .await;
    for function in ["meets", "waits"] {
        let calls = (0..3).map(|n| {
            let source = source.clone();
            tokio::spawn(async move {
                let heard = Heard::default();
                let said = call_with(
                    &source,
                    &format!("custom_tool__{function}"),
                    json!({"n": n}),
                    heard.reports(),
                )
                .await;
                (ok(said), heard.printed())
            })
        });
        for (n, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
            let (said, printed) = call.await.unwrap();
            assert_eq!(said, n.to_string());
            assert!(function == "waits" || printed == format!("met {n}\n"), "{printed:?}");
        }
    }
}

#[tokio::test]
async fn files_find_their_neighbours_and_the_sandbox_holds_them() {
    let desk = Desk::new();
    desk.tool_file("neighbour.py", "WORD = 'next door'\n");
    fs::create_dir(desk.at("tools/pack")).unwrap();
    desk.tool_file("pack/__init__.py", "");
    desk.tool_file("pack/inner.py", "WORD = 'packed'\n");
    let packed =
        desk.tool_file("pack/tool.py", "from .inner import WORD\ndef packed(): return WORD\n");
    let path = desk.tool_file(
        "tools.py",
        r#"
import json, neighbour, os, pathlib
def word(): return neighbour.WORD
def spies(path: str): return pathlib.Path(path).read_text()
def writes(path: str):
    pathlib.Path(path).write_text("x")
    return os.getcwd()
def environment(): return json.dumps(dict(os.environ))
"#,
    );
    // Modules of the agent's workspace are not taken for ours.
    for module in ["json.py", "asyncio.py", "neighbour.py", "encodings.py"] {
        fs::write(desk.at("workspace").join(module), "raise SystemExit('hijacked')\n").unwrap();
    }
    let mut specs: Vec<_> =
        ["word", "spies", "writes", "environment"].map(|name| spec(&path, name)).to_vec();
    specs.push(spec(&packed, "packed"));
    let sourced = python::source(&specs, &desk.equipment).await;
    assert_eq!(sourced.missing, Vec::<String>::new());
    let source = sourced.source;
    assert_eq!(ok(call(&source, "custom_tool__word", json!({})).await), "next door");
    assert_eq!(ok(call(&source, "custom_tool__packed", json!({})).await), "packed");
    let secret = desk.at("other/secret.txt").display().to_string();
    let output = call(&source, "custom_tool__spies", json!({"path": secret})).await;
    assert!(output.is_error && !output.text.contains("the other's secret"), "{output:?}");
    assert!(
        call(&source, "custom_tool__writes", json!({"path": path})).await.is_error,
        "its own file"
    );
    let said = ok(call(&source, "custom_tool__writes", json!({"path": "made.txt"})).await);
    assert_eq!(said, desk.at("workspace").display().to_string());
    assert!(desk.at("workspace/made.txt").exists());
    let environment = ok(call(&source, "custom_tool__environment", json!({})).await);
    assert!(!environment.contains("CARGO"), "{environment}");
}
