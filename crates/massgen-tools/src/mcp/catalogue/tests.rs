use super::*;

fn one(tool: Value) -> Listed {
    let (mut listed, problems) = read(&[tool]);
    assert_eq!(problems, Vec::<String>::new());
    listed.remove(0)
}

#[test]
fn every_schema_becomes_an_object() {
    let cases = [
        json!(null),
        json!(true),
        json!("string"),
        json!([1]),
        json!({}),
        json!({ "type": "string" }),
        json!({ "type": 7 }),
        json!({ "type": "object", "properties": [] }),
        json!({ "type": ["object", "null"] }),
    ];
    for schema in cases {
        let parameters = one(json!({ "name": "t", "inputSchema": schema })).parameters;
        assert_eq!(parameters["type"], "object", "{schema}");
        assert!(parameters["properties"].is_object(), "{schema}");
    }
    assert_eq!(one(json!({ "name": "t" })).parameters["type"], "object");
}

#[test]
fn references_and_properties_called_description_are_kept() {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "description": { "type": "string", "description": "what\u{1b}[2J it is" },
            "place": { "$ref": "#/$defs/place" },
            "mode": { "enum": ["\u{7}bell"], "default": { "description": "\u{7}" } },
        },
        "$defs": { "place": { "type": "object" } },
        "required": ["description"],
    });
    let parameters = one(json!({ "name": "t", "inputSchema": schema })).parameters;
    assert_eq!(parameters["properties"]["place"]["$ref"], "#/$defs/place");
    assert_eq!(parameters["$defs"]["place"]["type"], "object");
    assert_eq!(parameters["properties"]["description"]["description"], "what it is");
    assert_eq!(parameters["properties"]["mode"]["enum"][0], "\u{7}bell");
    assert_eq!(parameters["properties"]["mode"]["default"]["description"], "\u{7}");
    assert!(parameters.get("$schema").is_none());
}

#[test]
fn large_schemas_lose_their_words_first_and_then_all() {
    let wordy = json!({ "type": "object", "properties": {
        "a": { "type": "string", "description": "x".repeat(SCHEMA_MAX) } } });
    let listed = one(json!({ "name": "t", "inputSchema": wordy }));
    assert_eq!(listed.parameters["properties"]["a"], json!({ "type": "string" }));
    let huge: Map<String, Value> =
        (0..5_000).map(|n| (format!("field{n}"), json!({ "type": "string" }))).collect();
    let listed = one(json!({ "name": "t", "inputSchema": { "properties": huge } }));
    assert_eq!(listed.parameters, json!({ "type": "object", "properties": {} }));
    assert!(listed.description.contains("too large"), "{}", listed.description);
    let long = one(json!({ "name": "t", "description": "é".repeat(DESCRIPTION_MAX) }));
    assert!(long.description.len() <= DESCRIPTION_MAX + 4);
}

#[test]
fn deep_schemas_end_somewhere() {
    let mut schema = json!({ "type": "string" });
    for _ in 0..100 {
        schema = json!({ "type": "object", "properties": { "a": schema } });
    }
    let text = one(json!({ "name": "t", "inputSchema": schema })).parameters.to_string();
    assert!(text.matches("\"a\"").count() <= DEPTH_MAX + 1, "{text}");
}

#[test]
fn broken_tools_do_not_hide_the_others() {
    let tools = [
        json!({ "name": "b" }),
        json!({ "title": "no name" }),
        json!("no tool"),
        json!({ "name": "a" }),
        json!({ "name": "b", "description": "again" }),
    ];
    let (listed, problems) = read(&tools);
    let names: Vec<&str> = listed.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(listed[1].description, "");
    assert_eq!(problems.len(), 2, "{problems:?}");
    let many: Vec<Value> = (0..TOOLS_MAX + 1).map(|n| json!({ "name": format!("t{n}") })).collect();
    assert_eq!(read(&many).0.len(), TOOLS_MAX);
    assert!(read(&many).1[0].contains("1025"), "{:?}", read(&many).1);
}

#[test]
fn hints_say_what_a_tool_does() {
    let effect = |hints: Value| one(json!({ "name": "t", "annotations": hints })).effect;
    assert_eq!(effect(json!({ "readOnlyHint": true })), ToolEffect::Read);
    assert_eq!(effect(json!({ "destructiveHint": true })), ToolEffect::Irreversible);
    assert_eq!(effect(json!({ "destructiveHint": false })), ToolEffect::Write);
    assert_eq!(effect(json!({ "readOnlyHint": "yes" })), ToolEffect::Write);
    assert_eq!(effect(json!(null)), ToolEffect::Write);
}

#[test]
fn the_servers_list_replaces_and_exclusions_unite() {
    let spec = |allowed: Option<&[&str]>, excluded: &[&str]| McpServerSpec {
        name: "s".to_owned(),
        transport: massgen_protocol::McpTransport::Http {
            url: String::new(),
            headers: Default::default(),
        },
        allowed_tools: allowed.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
        exclude_tools: excluded.iter().map(|name| (*name).to_owned()).collect(),
        connect_ms: 1,
        call_ms: 1,
        trusted: false,
        shared: false,
    };
    let of_agent = ["a".to_owned(), "mcp__s__b".to_owned()];
    let filter = Filter::new(&spec(None, &["b"]), Some(&of_agent), &["z".to_owned()]);
    assert!(filter.takes("s", "a"));
    assert!(!filter.takes("s", "b") && !filter.takes("s", "c") && !filter.takes("s", "z"));
    assert!(filter.unknown("s", &[]).is_empty());
    let filter = Filter::new(&spec(Some(&["c", "gone"]), &[]), Some(&of_agent), &["c".to_owned()]);
    assert!(!filter.takes("s", "a") && !filter.takes("s", "c"));
    assert_eq!(filter.unknown("s", &[one(json!({ "name": "c" }))]), ["gone"]);
}
