//! The example that the shared context is for, with models from a script and all else real:
//! files, commands, copies, the presentation.

use massgen_testkit::{Gate, Reply, Request, Script, Server, script};
use serde_json::{Value, json};

use crate::binary::Place;

const ANALYSIS: &str = "import csv, sys\n\
    rows = [float(row[0]) for row in csv.reader(open(sys.argv[1]))]\n\
    print('sum', sum(rows))\n";
const IMPROVED: &str = "import csv, sys\n\
    rows = [float(row[0]) for row in csv.reader(open(sys.argv[1]))]\n\
    print('mean', sum(rows) / len(rows))\n";
const RESULTS: &str = "1\n2\n6\n";

fn calls(tools: &[(&str, Value)]) -> Reply {
    let reply = tools.iter().enumerate().fold(Reply::stream(), |reply, (at, (name, arguments))| {
        reply.tool_call(at, &format!("{name}_{at}"), name, arguments)
    });
    reply.finish("tool_calls").done()
}

fn vote(agent: &str) -> Reply {
    calls(&[("vote", json!({"agent_id": agent, "reason": "it was run and is right"}))])
}

fn said(request: &Request) -> String {
    request.messages().iter().map(Request::text_of).collect::<Vec<_>>().join("\n")
}

/// Writes a program and its data, answers, and votes for the other once it has improved them.
fn first(gate: Gate) -> Script {
    script(move |request| {
        if request.earlier_calls("write_file") == 0 {
            return calls(&[
                ("write_file", json!({"path": "analysis.py", "content": ANALYSIS})),
                ("write_file", json!({"path": "results.csv", "content": RESULTS})),
            ]);
        }
        if request.earlier_calls("new_answer") == 0 {
            return calls(&[("new_answer", json!({"content": "analysis.py prints the sum"}))]);
        }
        gate.open_for_good();
        vote(if said(request).contains("prints the mean") { "agent2" } else { "agent1" })
    })
}

/// Guesses, then runs what the other has written, changes it, and improves on it.
fn second(gate: Gate) -> Script {
    script(move |request| {
        if request.last_user_has("present") {
            if request.earlier_calls("list_directory") == 0 {
                let look = "python3 analysis.py ../temp/agent1/results.csv && ls ../temp";
                return calls(&[
                    ("list_directory", json!({"path": "."})),
                    ("execute_command", json!({"command": look})),
                ]);
            }
            let text = "agent1 had the data and the sum; agent2's analysis.py gives the mean.";
            return Reply::stream().text(text).finish("stop").done();
        }
        match (request.earlier_calls("new_answer"), request.earlier_calls("execute_command")) {
            (0, _) => Reply::stream()
                .gate(&gate)
                .tool_call(0, "guess", "new_answer", &json!({"content": "a guess, no files"}))
                .finish("tool_calls")
                .done(),
            (1, 0) if !said(request).contains("prints the sum") => vote("agent2"),
            (1, 0) => {
                let run = "python3 ../temp/agent1/analysis.py ../temp/agent1/results.csv";
                calls(&[("execute_command", json!({"command": run}))])
            }
            (1, 1) => {
                let spoil = "echo 'print(0)' > ../temp/agent1/analysis.py; \
                             python3 ../temp/agent1/analysis.py";
                calls(&[
                    ("execute_command", json!({"command": spoil})),
                    ("write_file", json!({"path": "analysis.py", "content": IMPROVED})),
                ])
            }
            (1, _) => calls(&[("new_answer", json!({"content": "analysis.py prints the mean"}))]),
            (_, _) => vote("agent2"),
        }
    })
}

#[test]
fn work_is_read_run_and_built_upon_without_interference() {
    let gate = Gate::new();
    let (one, two) = (Server::start(first(gate.clone())), Server::start(second(gate)));
    let place = Place::new();
    let agent = |id: &str, server: &Server| {
        format!(
            "  - {{id: {id}, backend: {{type: chatcompletion, model: {id}, base_url: \"{}\", \
             cwd: work_{id}, enable_mcp_command_line: true}}}}\n",
            server.base_url()
        )
    };
    place.file("team.yaml", &format!("agents:\n{}{}", agent("anna", &one), agent("bert", &two)));
    let done = place.run(&["--config", "team.yaml", "--output-dir", "out", "What is the mean?"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains("agent2's analysis.py gives the mean"), "{}", done.stdout);

    // The other's program was run, and what was changed in the copy stayed there.
    let requests = two.requests();
    let ran = requests.iter().map(|request| said(request)).find(|text| text.contains("sum 9"));
    assert!(ran.is_some(), "{}", said(requests.last().unwrap()));
    assert!(said(requests.last().unwrap()).contains("mean 3"), "the presenter has all at hand");
    // Nobody is named, not even in a path.
    for request in one.requests().iter().chain(&requests) {
        let body = request.body["messages"].to_string();
        assert!(!body.contains("anna") && !body.contains("bert"), "{body}");
    }

    let restored = |answer: &str| {
        let dir = format!("restored-{answer}");
        place.run(&["runs", "restore", answer, &dir]).expect(0);
        place.path().join(&dir)
    };
    let of_first = restored("agent1.1");
    assert_eq!(std::fs::read_to_string(of_first.join("analysis.py")).unwrap(), ANALYSIS);
    assert_eq!(std::fs::read_to_string(of_first.join("results.csv")).unwrap(), RESULTS);
    assert_eq!(std::fs::read_dir(restored("agent2.1")).unwrap().count(), 0, "a guess has none");
    let of_second = restored("agent2.2");
    assert_eq!(std::fs::read_to_string(of_second.join("analysis.py")).unwrap(), IMPROVED);
    assert_eq!(std::fs::read_to_string(place.path().join("out/analysis.py")).unwrap(), IMPROVED);
    let diff = place.run(&["runs", "diff", "agent1.1", "agent2.2"]).expect(0).stdout;
    assert!(diff.contains("-print('sum'") && diff.contains("+print('mean'"), "{diff}");
    let files = place.run(&["runs", "show", "latest", "--files"]).expect(0).stdout;
    assert!(files.contains("agent2.2") && files.contains("results.csv"), "{files}");
    place.run(&["replay", "--check", "latest"]).expect(0);
}
