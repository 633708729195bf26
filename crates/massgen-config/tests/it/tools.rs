//! What the keys of tools, workspaces and permissions come to.

use massgen_config::{Environment, Source, load};
use massgen_protocol::{
    Access, Approval, ApprovalBy, AskDefault, CommandSpec, ContainerSpec, ContextPath, Drift,
    FilesSpec, HookEvent, McpServerSpec, McpTransport, NetworkPolicy, SandboxLimits, SandboxMode,
    SandboxSpec, Tooling, WriteMode,
};
use serde_json::json;

use crate::{asked, lines, loaded, problems, spec, with_backend, with_team};

#[track_caller]
fn tooling(keys: &str) -> Tooling {
    spec(&with_backend(keys)).agents.remove(0).tooling
}

#[track_caller]
fn files(sections: &str) -> FilesSpec {
    spec(&with_team(sections)).files
}

#[track_caller]
fn notices(text: &str) -> String {
    let loaded = loaded(text);
    loaded.spec.unwrap();
    lines(&loaded.notices)
}

#[test]
fn nothing_written_is_nothing_offered() {
    assert_eq!(tooling(""), Tooling::default());
    assert_eq!(files(""), FilesSpec::default());
}

#[test]
fn a_folder_brings_file_tools_and_insights_but_no_commands() {
    let tools = tooling("cwd: workspace1");
    assert_eq!(tools.workspace.unwrap().cwd, "workspace1");
    assert!(tools.file_tools && tools.insights && tools.commands.is_none());
    assert!(!tools.planning && !tools.read_media && !tools.web_fetch);
    let tools = tooling("cwd: /tmp/x, enable_mcp_command_line: true, enable_web_fetch: yes");
    assert_eq!(tools.commands, Some(CommandSpec::default()));
    assert!(tools.web_fetch);
    let text = with_backend("enable_mcp_command_line: true");
    assert_eq!(spec(&text).agents[0].tooling, Tooling::default());
    assert!(notices(&text).contains("commands need a folder to run in"));
}

#[test]
fn commands_are_confined_as_the_keys_of_massgen_say() {
    let commands = |keys: &str| {
        tooling(&format!("cwd: w, enable_mcp_command_line: true, {keys}")).commands.unwrap()
    };
    let modes = |keys: &str| (commands(keys).sandbox, commands(keys).network);
    assert_eq!(modes("command_line_execution_mode: local"), (None, None));
    assert_eq!(modes("command_line_execution_mode: docker"), (Some(SandboxMode::Container), None));
    assert_eq!(modes("command_line_execution_mode: srt"), (Some(SandboxMode::Os), None));
    assert_eq!(modes("sandbox: off"), (Some(SandboxMode::Off), None));
    assert_eq!(
        modes("command_line_execution_mode: docker, command_line_docker_network_mode: bridge"),
        (Some(SandboxMode::Container), Some(NetworkPolicy::On))
    );
    // Without a container nobody is given what a container would be.
    assert_eq!(modes("command_line_docker_network_mode: bridge"), (None, None));
    assert_eq!(
        modes("command_line_execution_mode: docker, sandbox: {mode: os, network: on}"),
        (Some(SandboxMode::Os), Some(NetworkPolicy::On))
    );
    let full = commands(
        "command_line_allowed_commands: ['^git (status|log)', ls], \
         command_line_blocked_commands: ['rm\\b'], command_line_timeout_seconds: 2.5",
    );
    assert_eq!(full.allow, ["^git (status|log)", "ls"]);
    assert_eq!(full.block, ["rm\\b"]);
    assert_eq!(full.timeout_ms, Some(2_500));
}

#[test]
fn containers_are_the_teams() {
    let text = "\
agents:
  - id: a
    backend: {type: lmstudio, model: m, cwd: w, enable_mcp_command_line: true,
      command_line_docker_image: 'img:1', command_line_docker_memory_limit: 2g,
      command_line_docker_cpu_limit: 1.5, command_line_docker_enable_sudo: true}
  - id: b
    backend: {type: lmstudio, model: m, cwd: w, command_line_docker_image: other}
";
    let container = spec(text).files.sandbox.container;
    let memory = Some((2_u64 << 30).to_string());
    let expected = ContainerSpec { image: "img:1".into(), memory, cpus: Some("1.5".into()) };
    assert_eq!(container, expected);
    let said = notices(text);
    assert!(said.contains("nothing an agent runs is given more rights"), "{said}");
    assert!(said.contains("containers are the same for the whole team"), "{said}");
}

fn stdio(command: &str, args: &[&str]) -> McpTransport {
    McpTransport::Stdio {
        command: command.to_owned(),
        args: args.iter().map(|word| (*word).to_owned()).collect(),
        env: Default::default(),
        cwd: None,
    }
}

#[test]
fn servers_are_written_in_many_forms() {
    let expected = stdio("npx", &["-y", "some server"]);
    for written in [
        "[{name: s, type: STDIO, command: npx, args: [-y, some server]}]",
        "[{name: s, type: stdio, command: [npx, -y, some server]}]",
        "[{name: s, type: stdio, command: \"npx -y 'some server'\"}]",
        "[{name: s, type: stdio, command: npx -y, args: some server}]",
        "[{name: s, command: npx, args: [-y, some server]}]",
        "{s: {type: stdio, command: npx, args: [-y, some server]}}",
        "{s: {command: npx, args: [-y, some server]}}",
        "{name: s, type: stdio, command: npx, args: [-y, some server]}",
    ] {
        let servers = tooling(&format!("mcp_servers: {written}")).mcp_servers;
        assert_eq!(servers.len(), 1, "{written}");
        let McpServerSpec { name, transport, trusted, shared, .. } = &servers[0];
        assert_eq!((name.as_str(), transport), ("s", &expected), "{written}");
        assert!(!trusted && !shared, "{written}");
    }
    let said = notices(&with_backend("mcp_servers: [{name: s, url: 'http://localhost:1/mcp'}]"));
    assert!(said.contains("server `s` has no `type`: it is taken for `streamable-http`"), "{said}");
}

#[test]
fn a_server_has_bounds_filters_and_secrets() {
    let tools = tooling(
        "mcp_servers: [{name: s, type: streamable-http, url: 'https://x.example/mcp?v=1', \
         headers: {Authorization: 'Bearer ${OPENAI_API_KEY}', X-Team: blue}, timeout: 5, \
         http_read_timeout: 90, allowed_tools: [a], exclude_tools: [b], trusted: true}, \
         {name: t, type: stdio, command: x, args: ['--key', '${GROQ_API_KEY}', '--dir=${cwd}/o'], \
         env: {A: '${HOST}', EMPTY: null}, call_timeout: 7, security: {level: high}}], \
         exclude_tools: [mcp__t__gone, mcp__other__x, y], allowed_tools: [mcp__t__kept, z]",
    );
    let [http, stdio] = &tools.mcp_servers[..] else { panic!("{:?}", tools.mcp_servers) };
    assert_eq!((http.connect_ms, http.call_ms, stdio.call_ms), (5_000, 90_000, 7_000));
    assert_eq!(http.allowed_tools.as_deref(), Some(&["a".to_owned()][..]));
    assert_eq!((&http.exclude_tools[..], http.trusted), (&["b".to_owned()][..], true));
    assert_eq!(stdio.exclude_tools, ["gone"]);
    assert_eq!(tools.exclude_tools, ["x", "y"]);
    assert_eq!(tools.allowed_tools.as_deref(), Some(&["kept".to_owned(), "z".to_owned()][..]));
    let McpTransport::Http { headers, .. } = &http.transport else { panic!() };
    assert_eq!(headers["Authorization"].expose(), "Bearer sk-openai");
    let McpTransport::Stdio { args, env, .. } = &stdio.transport else { panic!() };
    assert_eq!(args, &["--key", "${GROQ_API_KEY}", "--dir=./o"]);
    assert_eq!(env["GROQ_API_KEY"].expose(), "gsk-groq");
    assert_eq!((env["A"].expose(), env["EMPTY"].expose()), ("gpu.local", ""));
    let secrets: Vec<&str> = tools.secrets().into_iter().map(|secret| secret.expose()).collect();
    assert!(secrets.contains(&"gsk-groq") && secrets.contains(&"Bearer sk-openai"), "{secrets:?}");
    let written = serde_json::to_string(&tools).unwrap() + &format!("{tools:?}");
    assert!(!written.contains("gsk-groq") && !written.contains("sk-openai"), "{written}");
}

#[test]
fn servers_that_keep_nothing_are_shared() {
    let shared = |line: &str| {
        let keys = format!("mcp_servers: [{{name: s, type: stdio, command: {line}}}]");
        tooling(&keys).mcp_servers[0].shared
    };
    assert!(shared("npx -y @fak111/weather-mcp"));
    assert!(shared("npx -y exa-mcp-server@latest"));
    assert!(shared("npx, args: ['@upstash/context7-mcp@1.0']"));
    assert!(shared("uvx mcp-server-time"));
    assert!(shared("/usr/local/bin/mcp-server-fetch"));
    assert!(!shared("npx -y @modelcontextprotocol/server-memory"));
    assert!(!shared("npx -y exa-mcp-server, shared: false"));
    assert!(shared("my-server, shared: true"));
}

#[test]
fn servers_of_the_python_package_are_left_out_with_a_word() {
    let text = with_backend(
        "mcp_servers: [{name: t, type: stdio, command: python, args: [-m, massgen.tests.x]}]",
    );
    assert_eq!(spec(&text).agents[0].tooling.mcp_servers, []);
    assert!(notices(&text).contains("(`massgen.tests.x`), which is not here: it is left out"));
}

#[test]
fn functions_of_python_files_are_tools() {
    let tools = tooling(
        "custom_tools: [{name: [add, sub], category: math, path: ./tools/math.py, \
         function: [add_numbers, sub_numbers], description: [Adds, Subtracts], \
         preset_args: [{unit: kg}, {n: [1, null]}]}, \
         {func: one, path: my.module, preset_args: {a: true}}]",
    )
    .python_tools;
    let shown: Vec<_> = tools
        .iter()
        .map(|tool| (tool.name.as_str(), tool.path.as_str(), tool.function.as_str()))
        .collect();
    let expected = [
        ("add", "./tools/math.py", "add_numbers"),
        ("sub", "./tools/math.py", "sub_numbers"),
        ("one", "my.module", "one"),
    ];
    assert_eq!(shown, expected);
    assert_eq!(tools[1].description.as_deref(), Some("Subtracts"));
    assert_eq!(json!(tools[1].preset_args), json!({"n": [1, null]}));
    assert_eq!(json!(tools[2].preset_args), json!({"a": true}));
}

#[test]
fn tools_of_the_python_package_are_named_and_left_out() {
    let text = with_backend(
        "custom_tools: [{name: [sum], function: [two_num_tool], \
         path: massgen/tool/_basic/_two_num_tool.py}, {name: x, function: y}, \
         {name: [z], function: [crawl], path: massgen/tool/crawl.py}, \
         {name: [understand_image], function: [understand_image], path: massgen/tool/u.py}]",
    );
    let tools = spec(&text).agents.remove(0).tooling;
    assert!(tools.read_media);
    let [sum] = &tools.python_tools[..] else { panic!("{:?}", tools.python_tools) };
    assert_eq!(
        (sum.name.as_str(), sum.path.as_str()),
        ("sum", "massgen.tool._basic._two_num_tool")
    );
    let said = notices(&text);
    for told in [
        "`crawl` is a tool of MassGen's Python package",
        "`y` is a tool of",
        "`read_media`, which is built in, takes the place of `understand_image`",
    ] {
        assert!(said.contains(told), "{said}");
    }
}

#[test]
fn media_planning_and_concurrency_come_from_both_places() {
    let text = "\
agents:
  - {id: a, backend: {type: lmstudio, model: m}}
  - {id: b, backend: {type: lmstudio, model: m, enable_multimodal_tools: false, max_concurrent_tools: 3}}
  - {id: c, backend: {type: lmstudio, model: m, concurrent_tool_execution: false, max_concurrent_tools: 3}}
orchestrator:
  enable_multimodal_tools: true
  snapshot_storage: s
  agent_temporary_workspace: t
  coordination: {enable_agent_task_planning: true, task_planning_filesystem_mode: true}
";
    let spec = spec(text);
    let tools: Vec<_> = spec.agents.iter().map(|agent| &agent.tooling).collect();
    assert_eq!(tools.iter().map(|tools| tools.read_media).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(tools.iter().map(|tools| tools.concurrent_max).collect::<Vec<_>>(), [10, 3, 1]);
    assert!(tools.iter().all(|tools| tools.planning));
    let said = notices(text);
    assert_eq!(said.matches("warning").count(), 1, "{said}");
    assert!(said.contains("media are looked at in this version, and none are made"), "{said}");
}

#[test]
fn what_the_team_shares_is_read() {
    let shared = files(
        "orchestrator: {context_paths: [{path: src, permission: write, protected_paths: [a, src/b, ../c]}, docs/], \
         coordination: {enable_planning_mode: true, write_mode: worktree, drift_conflict_policy: fail}, \
         sandbox: {mode: container, require: true, network: on, read_paths: [/opt/data], \
         limits: {processes: 64, memory: 1g, cpu_seconds: 30, file_size: 10m, open_files: 256, output: 8k, time_seconds: 5}}}",
    );
    let protected = vec!["a".to_owned(), "b".to_owned()];
    let context_paths = vec![
        ContextPath { path: "src".into(), access: Access::Write, protected },
        ContextPath { path: "docs/".into(), access: Access::Read, protected: vec![] },
    ];
    let limits = SandboxLimits {
        processes: 64,
        memory_bytes: 1 << 30,
        cpu_seconds: 30,
        file_bytes: 10 << 20,
        open_files: 256,
        output_bytes: 8 << 10,
        time_ms: 5_000,
    };
    let sandbox = SandboxSpec {
        mode: SandboxMode::Container,
        require: true,
        network: NetworkPolicy::On,
        limits,
        read_paths: vec!["/opt/data".into()],
        container: ContainerSpec::default(),
    };
    let expected = FilesSpec {
        context_paths,
        sandbox,
        planning_mode: true,
        write_mode: WriteMode::Worktree,
        drift: Drift::Fail,
        ..FilesSpec::default()
    };
    assert_eq!(shared, expected);
    for (written, mode, require) in [
        ("os", SandboxMode::Os, false),
        ("off", SandboxMode::Off, false),
        ("container", SandboxMode::Container, false),
        ("require", SandboxMode::Os, true),
        ("{mode: require}", SandboxMode::Os, true),
    ] {
        let sandbox = files(&format!("orchestrator: {{sandbox: {written}}}")).sandbox;
        assert_eq!((sandbox.mode, sandbox.require), (mode, require), "{written}");
    }
}

#[test]
fn paths_of_agents_join_the_teams_which_hold() {
    let text = "\
agents:
  - {id: a, backend: {type: lmstudio, model: m, context_paths: [{path: x, permission: write}, y]}}
orchestrator: {context_paths: [x, '~/z']}
";
    let env = Environment::new([("HOME", "/home/me/")]);
    let loaded = load(&Source { name: "team.yaml", text }, &env, &asked());
    let paths = loaded.spec.unwrap().files.context_paths;
    let shown: Vec<_> = paths.iter().map(|path| (path.path.as_str(), path.access)).collect();
    let read = Access::Read;
    assert_eq!(shown, [("x", read), ("/home/me/z", read), ("y", read)]);
}

#[test]
fn permissions_are_rules_and_how_questions_are_answered() {
    let text = "\
agents:
  - id: a
    backend:
      type: lmstudio
      model: m
      permissions:
        enabled: true
        role: Read_Only
        rules: {deny: ['command( git push --force* )'], ask: read_url, allow: ['mcp(linear/*)']}
        automation_default: deny-all
        approval_mode: file
        approval_timeout_seconds: 5
  - {id: b, backend: {type: lmstudio, model: m, permissions: {enabled: false, role: read-write}}}
  - {id: c, backend: {type: lmstudio, model: m, permissions: true}}
  - {id: d, backend: {type: lmstudio, model: m, permissions: {approval_mode: policy}}}
";
    let spec = spec(text);
    let permissions = spec.agents[0].tooling.permissions.clone().unwrap();
    assert_eq!(permissions.role.as_deref(), Some("read-only"));
    assert_eq!(permissions.deny, ["command(git push --force*)"]);
    assert_eq!(permissions.ask, ["read_url(*)"]);
    assert_eq!(permissions.allow, ["mcp(linear/*)"]);
    assert_eq!(spec.agents[1].tooling.permissions, None);
    assert_eq!(spec.agents[2].tooling.permissions, Some(Default::default()));
    let approval = Approval {
        by: ApprovalBy::File,
        otherwise: AskDefault::DenyAll,
        wait_ms: Some(5_000),
        dir: Some(".massgen/approvals".into()),
    };
    assert_eq!(spec.files.approval, approval);
    assert!(notices(text).contains("what the first agent says holds"));
}

#[test]
fn paths_are_named_in_full_from_where_massgen_was_started() {
    let text = "\
agents:
  - id: a
    backend:
      type: lmstudio
      model: m
      cwd: w
      custom_tools: [{function: f, path: ./tools/../f.py, preset_args: {d: '${cwd}/o'}}, {function: g, path: my.module}]
      mcp_servers: {s: {type: stdio, command: x, cwd: srv}, t: {type: stdio, command: x, cwd: '${cwd}'}}
      hooks: {PreToolUse: [{handler: 'h.py:check'}, {handler: my.module.f}]}
      permissions: {approval_mode: file}
orchestrator: {context_paths: [{path: ../src/, permission: write, protected_paths: [a]}, /abs]}
";
    let mut spec = spec(text);
    massgen_config::place_paths(&mut spec, std::path::Path::new("/home/me/project"));
    let paths: Vec<_> = spec.files.context_paths.iter().map(|path| path.path.as_str()).collect();
    assert_eq!(paths, ["/home/me/src", "/abs"]);
    assert_eq!(spec.files.context_paths[0].protected, ["/home/me/src/a"]);
    assert_eq!(spec.files.approval.dir.as_deref(), Some("/home/me/project/.massgen/approvals"));
    let tooling = &spec.agents[0].tooling;
    let files: Vec<_> = tooling.python_tools.iter().map(|tool| tool.path.as_str()).collect();
    assert_eq!(files, ["/home/me/project/f.py", "my.module"]);
    assert_eq!(json!(tooling.python_tools[0].preset_args), json!({"d": "./o"}));
    let cwd = |server: &McpServerSpec| match &server.transport {
        McpTransport::Stdio { cwd, .. } => cwd.clone(),
        McpTransport::Http { .. } => panic!(),
    };
    let folders: Vec<_> = tooling.mcp_servers.iter().map(cwd).collect();
    assert_eq!(folders, [Some("/home/me/project/srv".to_owned()), None]);
    let handlers: Vec<_> = tooling.hooks.iter().map(|hook| hook.handler.as_str()).collect();
    assert_eq!(handlers, ["/home/me/project/h.py:check", "my.module.f"]);
    assert_eq!(tooling.workspace.as_ref().unwrap().cwd, "w");
}

#[test]
fn hooks_are_read_in_both_forms() {
    let hooks = tooling(
        "hooks: {PreToolUse: [{handler: 'hooks/a.py:check', matcher: 'write_*|execute_command', \
         timeout: 5, fail_closed: true}], PostToolUse: {override: true, hooks: \
         [{handler: my.module.seen, type: python}]}}",
    )
    .hooks;
    assert_eq!(hooks.len(), 2);
    let (pre, post) = (&hooks[0], &hooks[1]);
    assert_eq!((pre.event, pre.handler.as_str()), (HookEvent::PreToolUse, "hooks/a.py:check"));
    assert_eq!((pre.matcher.as_str(), pre.timeout_ms), ("write_*|execute_command", 5_000));
    assert_eq!((post.event, post.handler.as_str()), (HookEvent::PostToolUse, "my.module.seen"));
    assert_eq!((post.matcher.as_str(), post.timeout_ms, post.fail_closed), ("*", 30_000, false));
    assert!(pre.fail_closed);
}

#[test]
fn agents_of_other_makers_bring_their_own_tools() {
    let text = "agents:\n  - id: a\n    backend: {type: claude_code, cwd: w, mcp_servers: [], custom_tools: []}\n";
    let loaded = loaded(text);
    let agent = loaded.spec.unwrap().agents.remove(0);
    assert_eq!(agent.tooling, Tooling::default());
    assert!(agent.backend.program.unwrap().cwd.ends_with("/w"));
    let said = lines(&loaded.notices);
    assert!(said.contains("`mcp_servers` has no effect on an agent of another maker"), "{said}");
}

#[test]
fn a_fallback_has_no_tools_of_its_own() {
    let text = with_backend("cwd: w, fallbacks: [{type: groq, model: x, mcp_servers: [], cwd: v}]");
    let agent = spec(&text).agents.remove(0);
    assert_eq!(agent.tooling.workspace.unwrap().cwd, "w");
    assert!(agent.backend.fallbacks[0].params.is_empty());
    assert!(notices(&text).contains("`mcp_servers` of a fallback has no effect"));
}

#[test]
fn what_is_not_there_yet_is_told() {
    let said = notices(
        "agents:\n  - {id: a, backend: {type: lmstudio, model: m, cwd: w, exclude_file_operation_mcps: true, \
         enforce_read_before_delete: false, enable_image_generation: true, sandbox: os, \
         permissions: {audit: false, settings_path: x}, custom_tools: [{function: f, path: a.py, default_params: {}}]}}\n\
         orchestrator: {coordination: {enable_planning_mode: true, planning_mode_instruction: Plan, drift_conflict_policy: fail}}",
    );
    insta::assert_snapshot!(said);
}

#[test]
fn garbage_is_told_where_it_stands() {
    let backend = [
        "cwd: 5",
        "cwd: []",
        "cwd: ''",
        "cwd: ../elsewhere",
        "mcp_servers: 5",
        "mcp_servers: [5]",
        "mcp_servers: [{}]",
        "mcp_servers: [{name: a b, command: x, type: stdio}]",
        "mcp_servers: [{name: s, type: sse, url: 'http://x'}]",
        "mcp_servers: [{name: s, type: pipe, command: x}]",
        "mcp_servers: [{name: s, type: stdio}]",
        "mcp_servers: [{name: s, type: stdio, command: ''}]",
        "mcp_servers: [{name: s, type: stdio, command: x, url: 'http://x'}]",
        "mcp_servers: [{name: s, command: x, url: 'http://x'}]",
        "mcp_servers: [{name: s, type: stdio, command: \"x 'y\"}]",
        "mcp_servers: [{name: s, type: stdio, command: cd /x && y}]",
        "mcp_servers: [{name: s, type: stdio, command: x, args: {a: 1}}]",
        "mcp_servers: [{name: s, type: stdio, command: x, args: ['${NO_SUCH_TOKEN}']}]",
        "mcp_servers: [{name: s, type: stdio, command: x, env: [A]}]",
        "mcp_servers: [{name: s, type: stdio, command: x, env: {A=B: 1, API_KEY: abcdefgh, T: '${NO_SUCH_KEY}'}}]",
        "mcp_servers: [{name: s, type: stdio, command: x, timeout: 0, call_timeout: never}]",
        "mcp_servers: [{name: s, type: stdio, command: x, comand: y, strict: true}]",
        "mcp_servers: [{name: s, type: stdio, command: x}, {name: s, type: stdio, command: y}]",
        "mcp_servers: [{name: s, type: http, url: 'ftp://x'}, {name: t, type: http, url: 'http://u:p@x'}, {name: v, type: http}]",
        "mcp_servers: [{name: s, type: stdio, command: x, security: [], trusted: maybe, shared: 2}]",
        "allowed_tools: {a: b}, exclude_tools: [[x]]",
        "custom_tools: {}",
        "custom_tools: [5, {}]",
        "custom_tools: [{function: [a, b], name: [a], path: x.py}]",
        "custom_tools: [{function: a b, path: x.py}, {function: f, path: x.rb}, {function: f, name: 'ü', path: x.py}]",
        "custom_tools: [{function: f, path: x.py}, {function: f, path: y.py}]",
        "custom_tools: [{function: f, path: x.py, preset_args: 5, nam: x}]",
        "custom_tools: [{function: f, path: x.py, preset_args: {api_key: abcdefgh}}]",
        "enable_mcp_command_line: maybe",
        "command_line_allowed_commands: ['(', '[a', 'a\\'], command_line_blocked_commands: {a: b}",
        "command_line_execution_mode: vm, command_line_timeout_seconds: 0",
        "command_line_docker_image: '-v /:/x', command_line_docker_memory_limit: 2x, command_line_docker_cpu_limit: 0, command_line_docker_network_mode: wifi, command_line_docker_enable_sudo: root",
        "sandbox: jail",
        "sandbox: {mode: jail, network: wifi, limits: {processes: 1}}",
        "permissions: 5",
        "permissions: {role: readonly, rules: {deny: ['comand(ls)', 'command(ls', 'command()', 5, {}], alow: []}}",
        "permissions: {enabled: maybe, automation_default: ask, approval_mode: phone, approval_dir: [], approval_timeout_seconds: 0}",
        "hooks: []",
        "hooks: {PreToolUse: 5, PostTooluse: []}",
        "hooks: {PreToolUse: [{}, {handler: x}, {handler: 'a.py'}, {handler: 'a.py:1x'}, {handler: a.b, type: bash, timeout: 0, fail_closed: 2, matcher: []}]}",
        "enable_multimodal_tools: 5, concurrent_tool_execution: maybe, max_concurrent_tools: 0",
        "context_paths: src",
        "enable_web_fetch: sometimes, exclude_file_operation_mcps: [], enforce_read_before_delete: 3",
    ]
    .map(with_backend);
    let team = [
        "orchestrator: {context_paths: {a: b}}",
        "orchestrator: {context_paths: [{}, {path: a, permission: exec}, {path: '', protected_paths: 5}, a, a, [x]]}",
        "orchestrator: {snapshot_storage: [], agent_temporary_workspace: {}, enable_multimodal_tools: x}",
        "orchestrator: {sandbox: jail}",
        "orchestrator: {sandbox: {mode: off, require: true, network: wifi, read_paths: {}, limits: {memory: lots, processes: 0, output: 1, time_seconds: -1, cpu: 5}}}",
        "orchestrator: {coordination: {enable_agent_task_planning: x, task_planning_filesystem_mode: 5, enable_planning_mode: [], write_mode: copy, drift_conflict_policy: x, planning_mode_instruction: []}}",
    ]
    .map(with_team);
    let two = "agents:\n  - {id: a, backend: {type: lmstudio, model: m, cwd: /x/y}}\n  - {id: b, backend: {type: lmstudio, model: m, cwd: /x/y/}}\n";
    let texts = backend.into_iter().chain(team).chain([two.to_owned()]);
    let told = texts.map(|text| {
        let written = text.lines().map(|line| format!("| {line}")).collect::<Vec<_>>().join("\n");
        format!("{written}\n{}", problems(&text))
    });
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n\n"));
}
