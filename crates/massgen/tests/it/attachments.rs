//! Files shown with the question, and secrets that are found again.

use massgen_testkit::{Server, behaviour};

use crate::binary::{Done, Place};

/// The smallest file that is a PNG by its first bytes.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n-";

fn team(base_url: &str, more: &str) -> String {
    format!(
        "agents:\n  - id: ada\n    backend: {{type: chatcompletion, model: m, api_key: k, \
         base_url: \"{base_url}\", {more}}}\n"
    )
}

#[track_caller]
fn refused(done: &Done, parts: &[&str]) {
    assert_eq!(done.code, 1, "{}", done.stderr);
    for part in parts {
        assert!(done.stderr.contains(part), "`{part}` is missing in:\n{}", done.stderr);
    }
}

#[test]
fn files_are_kept_with_the_run() {
    let server = Server::start(behaviour::consensus(&["four"]));
    let place = Place::new();
    std::fs::write(place.path().join("sky.png"), PNG).unwrap();
    // A picture is sent as what it is, whatever its name says.
    std::fs::write(place.path().join("sea.png"), b"\xff\xd8\xff-jpeg").unwrap();
    std::fs::create_dir(place.path().join("teams")).unwrap();
    std::fs::write(place.path().join("teams/notes.md"), "Beside the config.").unwrap();
    let uploads = "upload_files: [{image_path: sky.png}, {file_path: notes.md}]";
    place.file("teams/team.yaml", &team(&server.base_url(), uploads));
    place.run(&["--config", "teams/team.yaml", "--attach", "sea.png", "Why?"]).expect(0);
    let manifest: serde_json::Value =
        serde_json::from_str(&place.run_file("manifest.json")).unwrap();
    let media = manifest["spec"]["agents"][0]["media"].as_array().unwrap();
    let told: Vec<[&str; 3]> = media
        .iter()
        .map(|media| {
            let text = |key: &str| media[key].as_str().unwrap();
            [text("name"), text("media_type"), media["source"]["base64"].as_str().unwrap()]
        })
        .collect();
    assert_eq!(
        told,
        [
            ["sky.png", "image/png", "iVBORw0KGgot"],
            ["notes.md", "text/markdown", "QmVzaWRlIHRoZSBjb25maWcu"],
            ["sea.png", "image/jpeg", "/9j/LWpwZWc="],
        ]
    );
}

#[test]
fn a_file_that_cannot_be_sent_is_named_before_anything_is_run() {
    let place = Place::new();
    std::fs::write(place.path().join("not.png"), "<html>").unwrap();
    std::fs::write(place.path().join("empty.pdf"), "").unwrap();
    std::fs::write(place.path().join("big.txt"), vec![b'x'; (1 << 20) + 1]).unwrap();
    std::fs::write(place.path().join("odd.xyz"), "x").unwrap();
    let check = |upload: &str, more: &str, parts: &[&str]| {
        let keys = format!("upload_files: [{{file_path: {upload}}}]{more}");
        place.file("team.yaml", &team("http://127.0.0.1:9/v1", &keys));
        refused(&place.run(&["--config", "team.yaml", "Why?"]), parts);
    };
    check("none.png", "", &["failed to read `none.png`, a file for agent `ada`", "hint:"]);
    check("not.png", "", &["`not.png`, a file for agent `ada`, is not image/png"]);
    check("empty.pdf", "", &["the file is empty"]);
    let small = ", media_max_file_size_mb: 1";
    check("big.txt", small, &["is too large: 2 MB, at most 1 MB", "media_max_file_size_mb"]);
    check("odd.xyz", "", &["no telling what kind of file `odd.xyz` is", "team.yaml:3:"]);
    std::fs::create_dir(place.path().join("folder.png")).unwrap();
    check("folder.png", "", &["it is not a regular file"]);
    place.file("team.yaml", &team("http://127.0.0.1:9/v1", ""));
    let done = place.run(&["--config", "team.yaml", "--attach", "odd.xyz", "Why?"]);
    refused(&done, &["no telling what kind of file `odd.xyz` is", "known endings are png"]);
    assert!(!place.path().join(".massgen").exists(), "nothing was run");
}

#[test]
fn secrets_of_headers_are_sent_kept_nowhere_and_found_again() {
    let secret = "gateway-s3cret-1";
    let server = Server::start(behaviour::consensus(&["four"]));
    let keys = "headers: {X-Gateway-Token: 'v1 ${GATEWAY_TOKEN}'}";
    let place = Place::new().env("GATEWAY_TOKEN", secret).env("MASSGEN_CRASH_AFTER_SEQ", "3");
    place.file("team.yaml", &team(&server.base_url(), keys).replace("api_key: k, ", ""));
    let killed = place.run(&["--config", "team.yaml", "Why?"]);
    assert_ne!(killed.code, 0, "{}", killed.stderr);
    for file in ["manifest.json", "events.jsonl"] {
        assert!(!place.run_file(file).contains(secret), "{file}");
    }
    let place = place.env("MASSGEN_CRASH_AFTER_SEQ", "");
    let mut command = place.command(&["resume", "latest"]);
    let lost = command.env_remove("GATEWAY_TOKEN").output().unwrap();
    let lost = String::from_utf8(lost.stderr).unwrap();
    assert!(lost.contains("agent `ada` needs what is in `GATEWAY_TOKEN`, not set now"), "{lost}");
    place.run(&["resume", "latest"]).expect(0);
    let requests = server.requests();
    assert!(!requests.is_empty());
    for request in requests {
        assert_eq!(request.header("x-gateway-token"), Some("v1 gateway-s3cret-1"));
    }
}

#[test]
fn limits_of_a_file_hold_for_a_quick_team() {
    let server = Server::start(behaviour::consensus(&["four"]));
    let url = server.base_url();
    let place = Place::new();
    place.file("limits.yaml", "vllm: {default: {rpm: 600}}\n");
    let quick = ["--backend", "vllm", "--model", "m", "--base-url", &url];
    let limited = [&["--rate-limit=limits.yaml"], &quick[..], &["Why?"]].concat();
    place.run(&limited).expect(0);
    let manifest = place.run_file("manifest.json");
    assert!(manifest.contains("\"requests_per_minute\": 600"), "{manifest}");
    place.file("limits.yaml", "vlm: {default: {rpm: 600}}\n");
    refused(&place.run(&limited), &["limits.yaml:1:1", "did you mean `vllm`?"]);
}
