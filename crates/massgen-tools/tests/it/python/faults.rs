use std::fs;
use std::time::{Duration, Instant};

use massgen_tools::python;
use serde_json::json;

use super::{load, loaded, spec};
use crate::desk::{Desk, Heard, call, call_with, ok, refused};

#[tokio::test]
async fn what_is_missing_is_named_with_its_remedy() {
    let desk = Desk::new();
    let path = desk.tool_file("fine.py", "def fine(): return 'fine'\nvalue = 3\n");
    let broken = desk.tool_file("broken.py", "def f(:\n");
    let needy = desk.tool_file("needy.py", "import no_such_module_anywhere\ndef f(): pass\n");
    let raising = desk.tool_file("raising.py", "raise ValueError('at import')\n");
    let exiting = desk.tool_file("exiting.py", "import sys\nsys.exit(3)\n");
    let gone = desk.at("tools/gone.py").display().to_string();
    let mut specs = vec![spec(&path, "fine")];
    for (nth, (path, function, _)) in
        cases(&path, &broken, &needy, &raising, &exiting, &gone).into_iter().enumerate()
    {
        let mut wanted = spec(path, function);
        wanted.name = format!("tool{nth}");
        specs.push(wanted);
    }
    let sourced = python::source(&specs, &desk.equipment).await;
    let expected = cases(&path, &broken, &needy, &raising, &exiting, &gone);
    assert_eq!(sourced.missing.len(), expected.len(), "{:?}", sourced.missing);
    for (nth, (path, function, problem)) in expected.into_iter().enumerate() {
        let said = &sourced.missing[nth];
        let head = format!("custom tool `tool{nth}` (function `{function}` in `{path}`): ");
        assert!(said.starts_with(&head) && said.contains(problem), "{said}");
    }
    assert_eq!(ok(call(&sourced.source, "custom_tool__fine", json!({})).await), "fine");
    refused(&call(&sourced.source, "custom_tool__tool0", json!({})).await, "there is no tool");
}

type Case<'a> = (&'a str, &'a str, &'static str);

fn cases<'a>(
    path: &'a str,
    broken: &'a str,
    needy: &'a str,
    raising: &'a str,
    exiting: &'a str,
    gone: &'a str,
) -> [Case<'a>; 8] {
    [
        (path, "fien", "has no function `fien`; it has fine; correct its `function`"),
        (path, "value", "`value` is not a function"),
        (broken, "f", "SyntaxError"),
        (needy, "f", "No module named 'no_such_module_anywhere'; install the module"),
        (raising, "f", "ValueError: at import"),
        (exiting, "f", "called sys.exit(3)"),
        (gone, "f", "there is no such file; correct its `path`"),
        ("no.such.module", "f", "ModuleNotFoundError"),
    ]
}

#[tokio::test]
async fn exceptions_show_the_users_lines_only() {
    let desk = Desk::new();
    let source = loaded(
        &desk,
        "import sys\ndef inner(x):\n    return 1 / x\ndef outer(x: int):\n    return inner(x)\nasync def exits():\n    sys.exit(2)\ndef deep(n: int = 0):\n    return deep(n + 1)\n",
        &["outer", "exits", "deep"],
    )
    .await;
    let output = call(&source, "custom_tool__outer", json!({"x": 0})).await;
    refused(&output, "ZeroDivisionError: division by zero");
    assert!(
        output.text.contains("tools.py\", line 3, in inner")
            && output.text.contains("line 5, in outer"),
        "{}",
        output.text
    );
    assert!(
        !output.text.contains("<string>") && !output.text.contains("concurrent"),
        "{}",
        output.text
    );
    refused(&call(&source, "custom_tool__exits", json!({})).await, "called sys.exit(2)");
    let output = call(&source, "custom_tool__deep", json!({})).await;
    refused(&output, "RecursionError");
    assert!(output.text.len() < 8_100);
    assert_eq!(ok(call(&source, "custom_tool__outer", json!({"x": 1})).await), "1.0");
}

#[tokio::test]
async fn a_crash_is_told_and_the_next_call_works() {
    let desk = Desk::new();
    let source = loaded(
        &desk,
        "import os, sys\ndef crash(code: int):\n    os.write(2, b'last words\\n')\n    os._exit(code)\ndef killed():\n    os.kill(os.getpid(), 9)\ndef fine(): return 'fine'\ndef garbage():\n    for fd in range(3, 30):\n        try: os.write(fd, b'not json\\n' * 10)\n        except OSError: pass\n    return 'still'\n",
        &["crash", "killed", "fine", "garbage"],
    )
    .await;
    let output = call(&source, "custom_tool__crash", json!({"code": 7})).await;
    refused(&output, "Python ended during the call");
    assert!(output.text.contains('7') && output.text.contains("last words"), "{}", output.text);
    assert_eq!(ok(call(&source, "custom_tool__fine", json!({})).await), "fine");
    refused(&call(&source, "custom_tool__killed", json!({})).await, "Python ended during the call");
    assert_eq!(ok(call(&source, "custom_tool__fine", json!({})).await), "fine");
    assert_eq!(ok(call(&source, "custom_tool__garbage", json!({})).await), "still");
}

#[tokio::test]
async fn a_call_that_is_given_up_ends() {
    let desk = Desk::new();
    let source = loaded(
        &desk,
        r#"
import asyncio, pathlib, time
def stuck():
    print("up")
    while True:
        pathlib.Path("beat").write_text(str(time.time_ns()))
        time.sleep(0.02)
async def polite():
    print("up")
    try:
        await asyncio.sleep(1000)
    finally:
        pathlib.Path("ended").write_text("politely")
def fine(): return "fine"
count = 0
def counts():
    global count
    count += 1
    return count
"#,
        &["stuck", "polite", "fine", "counts"],
    )
    .await;
    assert_eq!(ok(call(&source, "custom_tool__counts", json!({})).await), "1");
    give_up(&source, "custom_tool__polite").await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while !desk.at("workspace/ended").exists() {
        assert!(Instant::now() < deadline, "it was not told");
        tokio::task::yield_now().await;
    }
    assert_eq!(
        ok(call(&source, "custom_tool__counts", json!({})).await),
        "2",
        "the process lives on"
    );

    give_up(&source, "custom_tool__stuck").await;
    let look = || fs::read_to_string(desk.at("workspace/beat")).unwrap_or_default();
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let before = look();
        tokio::time::sleep(Duration::from_millis(300)).await;
        if look() == before {
            break;
        }
        assert!(Instant::now() < deadline, "it beats on");
    }
    assert_eq!(
        ok(call(&source, "custom_tool__counts", json!({})).await),
        "1",
        "it was started again"
    );
}

async fn give_up(source: &std::sync::Arc<dyn massgen_tools::ToolSource>, name: &'static str) {
    let heard = Heard::default();
    let running = tokio::spawn({
        let (source, reports) = (source.clone(), heard.reports());
        async move { call_with(&source, name, json!({}), reports).await }
    });
    while !heard.printed().contains("up") {
        tokio::task::yield_now().await;
    }
    running.abort();
    assert!(running.await.is_err());
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_ended() {
    let desk = Desk::new();
    let path = desk.tool_file(
        "slow.py",
        "import time\ndef slow():\n    time.sleep(1000)\ndef fine(): return 'fine'\n",
    );
    let specs = ["slow", "fine"].map(|name| spec(&path, name));
    let source =
        python::source_within(&specs, &desk.equipment, Duration::from_secs(1)).await.source;
    refused(&call(&source, "custom_tool__slow", json!({})).await, "it did not end within 1.0 s");
    let patient =
        python::source_within(&specs, &desk.equipment, Duration::from_secs(20)).await.source;
    let (slow, fine) = {
        let other = patient.clone();
        let slow = tokio::spawn(async move { call(&other, "custom_tool__slow", json!({})).await });
        let fine = call(&patient, "custom_tool__fine", json!({})).await;
        (slow, fine)
    };
    assert_eq!(ok(fine), "fine");
    // All that was started ends with the source, also a call in it.
    drop(patient);
    slow.abort();
    assert!(slow.await.is_err());
}

#[tokio::test]
async fn an_import_that_ends_the_process_is_named() {
    let desk = Desk::new();
    let sourced = load(&desk, "import os\nos._exit(9)\n", &["f"]).await;
    assert!(sourced.source.tools().is_empty());
    assert!(
        sourced.missing[0].contains("Python ended while it loaded `f`"),
        "{:?}",
        sourced.missing
    );
    refused(&call(&sourced.source, "custom_tool__f", json!({})).await, "there is no tool");
    let none = python::source(&[], &desk.equipment).await;
    assert!(none.source.tools().is_empty() && none.missing.is_empty());
}
