//! Hooks of the user's, run as they are in a run.

use massgen_protocol::{
    AgentIndex, Approval, ApprovalBy, FilesSpec, HookEvent, HookSpec, PermissionSpec, RoundId,
    RoundKind, ToolCallId, ToolEffect, ToolOutput, ToolReport, Tooling,
};
use massgen_tools::Invocation;
use massgen_tools::gate::{Gate, GateError, Setting};
use serde_json::{Value, json};

use crate::desk::{Desk, Heard};

const HANDLERS: &str = r#"
import os, sys, time
from massgen.mcp_tools.hooks import HookResult

print("loaded, on standard output")

def silent(event):
    print("seen")

def deny(event):
    return {"decision": "deny", "reason": f"no {event.tool_name}\nhere"}

def deny_as_before(event):
    return HookResult.deny(reason="not " + event["tool_input"]["command"])

def allow_as_before(event):
    return HookResult.allow()

async def modify(event):
    return {"updated_input": {**event["tool_input"], "command": "ls -l"}}

def worsen(event):
    return {"arguments": {"command": "git push"}, "decision": "allow"}

def spare(event):
    return {"decision": "allow"}

def ask(event):
    return {"decision": "ask", "reason": "somebody should look"}

def hang(event):
    time.sleep(60)

def crash(event):
    raise ValueError("broken")

def leave(event):
    sys.exit(3)

def die(event):
    os.kill(os.getpid(), 9)

def odd(event):
    return {"arguments": 5}

def unserialisable(event):
    return {"reason": object()}

def replace(event):
    return {"replace": event["tool_output"].upper()}

def append(event):
    return HookResult(inject={"content": "mind " + event["hook_type"]})

def text(event):
    return "by text"

def peek(event):
    # Not `exists`: where Landlock confines, names can be seen, content cannot.
    try:
        return {"append": open(event["tool_input"]["command"]).read()}
    except OSError as error:
        return {"append": type(error).__name__}

def noisy(event):
    os.write(1, b"noise\n" * 1000)
    os.system("echo more")
"#;

struct Bench {
    desk: Desk,
    file: String,
}

impl Bench {
    fn new() -> Bench {
        let desk = Desk::new();
        let folder = desk.at("hooks");
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("handlers.py");
        std::fs::write(&file, HANDLERS).unwrap();
        Bench { file: file.display().to_string(), desk }
    }

    fn hook(&self, event: HookEvent, function: &str) -> HookSpec {
        HookSpec {
            event,
            matcher: "*".to_owned(),
            handler: format!("{}:{function}", self.file),
            timeout_ms: 15_000,
            fail_closed: false,
        }
    }

    fn pre(&self, function: &str) -> HookSpec {
        self.hook(HookEvent::PreToolUse, function)
    }

    fn post(&self, function: &str) -> HookSpec {
        self.hook(HookEvent::PostToolUse, function)
    }

    fn gate(&self, tooling: &Tooling) -> Result<Gate, GateError> {
        let setting =
            Setting { equipment: Some(self.desk.equipment.clone()), ..Setting::default() };
        let approval = Approval { by: ApprovalBy::Policy, ..Approval::default() };
        Gate::new(tooling, &FilesSpec { approval, ..FilesSpec::default() }, setting)
    }

    /// What became of a call of `execute_command`, and what was said.
    async fn before(
        &self,
        tooling: &Tooling,
        command: &str,
    ) -> (Result<Value, String>, Vec<String>) {
        let heard = Heard::default();
        let mut call = call(command, &heard);
        let gate = self.gate(tooling).unwrap();
        let outcome = gate.before(&mut call, ToolEffect::Write).await;
        let outcome = outcome.map(|()| Value::Object(call.arguments)).map_err(|output| output.text);
        (outcome, said(&heard))
    }

    async fn after(&self, hooks: Vec<HookSpec>, output: ToolOutput) -> (ToolOutput, Vec<String>) {
        let heard = Heard::default();
        let mut output = output;
        let tooling = Tooling { hooks, ..Tooling::default() };
        let gate = self.gate(&tooling).unwrap();
        gate.after(&call("/etc/passwd", &heard), &mut output).await;
        (output, said(&heard))
    }
}

fn call(command: &str, heard: &Heard) -> Invocation {
    let Value::Object(arguments) = json!({ "command": command }) else { panic!() };
    let agent = AgentIndex(0);
    Invocation {
        agent,
        round: RoundId { agent, n: 1 },
        kind: RoundKind::Coordinate,
        id: ToolCallId("c1".to_owned()),
        name: "execute_command".to_owned(),
        arguments,
        reports: heard.reports(),
    }
}

fn said(heard: &Heard) -> Vec<String> {
    let line = |report| match report {
        ToolReport::Notice { what } => what,
        ToolReport::PermissionDecided { allowed, by, reason } => {
            format!("{} by {by}: {reason}", if allowed { "allowed" } else { "denied" })
        }
        other => format!("{other:?}"),
    };
    heard.all().into_iter().map(line).collect()
}

fn with(hooks: Vec<HookSpec>, permissions: Option<PermissionSpec>) -> Tooling {
    Tooling { hooks, permissions, ..Tooling::default() }
}

#[tokio::test]
async fn a_hook_lets_through_denies_and_modifies() {
    let bench = Bench::new();
    let run =
        async |function: &str| bench.before(&with(vec![bench.pre(function)], None), "ls").await;
    let untouched = (Ok(json!({"command": "ls"})), vec![]);
    for function in ["silent", "allow_as_before", "noisy"] {
        assert_eq!(run(function).await, untouched, "{function}");
    }
    let (outcome, told) = run("deny").await;
    assert!(
        outcome.unwrap_err().contains("refused by hook handlers.py:deny: no execute_command here")
    );
    assert_eq!(told, ["denied by hook handlers.py:deny: no execute_command here"]);
    let (outcome, _) = run("deny_as_before").await;
    assert!(outcome.unwrap_err().contains("not ls"));
    let (outcome, told) = run("modify").await;
    assert_eq!(outcome, Ok(json!({"command": "ls -l"})));
    assert_eq!(told, ["hook handlers.py:modify changed the arguments of `execute_command`"]);
    let (outcome, _) = run("odd").await;
    assert!(outcome.unwrap_err().contains("arguments that are no map"));
}

#[tokio::test]
async fn what_a_hook_changes_goes_through_the_rules() {
    let bench = Bench::new();
    let deny = vec!["command(git push*)".to_owned()];
    let permissions = Some(PermissionSpec { deny, ..PermissionSpec::default() });
    let tooling = with(vec![bench.pre("worsen")], permissions);
    let (outcome, _) = bench.before(&tooling, "ls").await;
    assert!(outcome.unwrap_err().contains("refused by rule command(git push*)"));
    let open = || Some(PermissionSpec::default());
    let (outcome, told) = bench.before(&with(vec![bench.pre("spare")], open()), "git push").await;
    assert!(outcome.is_ok());
    assert_eq!(told, ["allowed by hook handlers.py:spare: "]);
    let (outcome, _) = bench.before(&with(vec![], open()), "git push").await;
    assert!(outcome.is_err());
    // Asked about, and nobody is there: what can be undone is allowed, the other thing not.
    let asking = || with(vec![bench.pre("spare"), bench.pre("ask")], None);
    let (outcome, told) = bench.before(&asking(), "make").await;
    assert!(outcome.is_ok() && told == ["allowed by policy: "], "{told:?}");
    let (outcome, _) = bench.before(&asking(), "git push").await;
    assert!(outcome.is_err());
}

#[tokio::test]
async fn a_hook_that_fails_is_told_and_refuses_only_if_it_should() {
    let bench = Bench::new();
    for (function, fault) in [
        ("hang", "took longer than 1.5 s"),
        ("crash", "raised ValueError: broken"),
        ("leave", "raised SystemExit: 3"),
        ("die", "was ended by signal 9"),
        ("unserialisable", "raised TypeError"),
        ("not_there", "raised AttributeError"),
    ] {
        let timeout_ms = if function == "hang" { 1_500 } else { 15_000 };
        let open = HookSpec { timeout_ms, ..bench.pre(function) };
        let closed = HookSpec { fail_closed: true, ..open.clone() };
        let (outcome, told) = bench.before(&with(vec![open], None), "ls").await;
        assert_eq!(outcome, Ok(json!({"command": "ls"})), "{function}");
        assert!(told.len() == 1 && told[0].contains(fault), "{function}: {told:?}");
        assert!(told[0].ends_with("the call goes on"), "{told:?}");
        if !matches!(function, "hang" | "crash") {
            continue;
        }
        let (outcome, told) = bench.before(&with(vec![closed], None), "ls").await;
        assert!(outcome.unwrap_err().contains("Not done, refused by hook"), "{function}");
        assert!(told[0].starts_with("denied by hook") && told[0].contains(fault), "{told:?}");
    }
}

#[tokio::test]
async fn results_are_seen_replaced_and_added_to() {
    let bench = Bench::new();
    let given = || ToolOutput::text("two words");
    let (output, told) = bench.after(vec![bench.post("silent"), bench.pre("deny")], given()).await;
    assert_eq!((output, told), (given(), vec![]));
    let hooks = vec![bench.post("replace"), bench.post("append"), bench.post("text")];
    let (output, told) = bench.after(hooks, given()).await;
    assert_eq!(output, ToolOutput::text("TWO WORDS\nmind PostToolUse\nby text"));
    assert_eq!(told[0], "hook handlers.py:replace replaced the result of `execute_command`");
    assert_eq!(told.len(), 3);
    let (output, _) = bench.after(vec![bench.post("deny")], given()).await;
    assert!(output.is_error && output.text.contains("holds its result back: no execute_command"));
    let closed = HookSpec { fail_closed: true, ..bench.post("crash") };
    let (output, _) = bench.after(vec![closed], given()).await;
    assert!(output.is_error && !output.text.contains("two words"));
    let (output, told) = bench.after(vec![bench.post("crash")], given()).await;
    assert_eq!(output, given());
    assert!(told[0].ends_with("the result goes on"), "{told:?}");
}

#[tokio::test]
async fn a_hook_is_confined_and_lies_where_no_agent_writes() {
    let bench = Bench::new();
    let secret = bench.desk.at("other/secret.txt").display().to_string();
    let heard = Heard::default();
    let gate = bench.gate(&with(vec![bench.post("peek")], None)).unwrap();
    let mut output = ToolOutput::text("");
    gate.after(&call(&secret, &heard), &mut output).await;
    assert!(["PermissionError", "FileNotFoundError"].contains(&&*output.text), "{}", output.text);
    let inside = bench.desk.at("workspace/h.py").display().to_string();
    let hook = HookSpec { handler: format!("{inside}:f"), ..bench.pre("x") };
    let made = bench.gate(&with(vec![hook], None));
    assert_eq!(made.err(), Some(GateError::RewritesItself(format!("{inside}:f"))));
    let hook = HookSpec { handler: "relative.py:f".to_owned(), ..bench.pre("x") };
    let made = bench.gate(&with(vec![hook], None));
    assert_eq!(made.err(), Some(GateError::Hook("relative.py:f".to_owned())));
}

#[test]
fn no_agent_can_answer_its_own_question() {
    let bench = Bench::new();
    let inside = bench.desk.at("workspace/approvals").display().to_string();
    let approval =
        Approval { by: ApprovalBy::File, dir: Some(inside.clone()), ..Approval::default() };
    let files = FilesSpec { approval, ..FilesSpec::default() };
    let setting = Setting { equipment: Some(bench.desk.equipment.clone()), ..Setting::default() };
    let made = Gate::new(&Tooling::default(), &files, setting);
    assert_eq!(made.err(), Some(GateError::AnswersItself(inside)));
}
