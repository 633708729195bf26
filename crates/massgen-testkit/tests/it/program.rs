//! The server as a program.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::Value;

fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_massgen-testserver"))
}

#[test]
fn it_says_where_it_listens_and_ends_with_its_stdin() {
    let mut child = command()
        .args(["--behaviour", "only-talks", "--thinking", "--prefix-cache"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let hello: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    let url = hello["url"].as_str().unwrap();
    assert_eq!(hello["base_urls"]["gemini-generate"], format!("{url}/v1beta"));
    assert_eq!(hello["base_urls"].as_object().unwrap().len(), 5);
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    stream.write_all(b"POST /api/chat HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}").unwrap();
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();
    drop(child.stdin.take());
    let counters: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(counters["requests"], 1);
    assert!(child.wait().unwrap().success());
}

#[test]
fn help_names_every_behaviour_and_a_mistake_is_told() {
    let help = command().arg("--help").output().unwrap();
    assert!(help.status.success());
    let help = String::from_utf8(help.stdout).unwrap();
    let names = help.lines().filter_map(|line| line.strip_prefix("  ")?.split("  ").next());
    let behaviours: Vec<&str> = names
        .filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
        .filter(|name| !name.starts_with('-'))
        .collect();
    assert!(behaviours.len() > 15, "{behaviours:?}");
    for name in behaviours {
        let ran = command().args(["--behaviour", name]).stdin(Stdio::null()).output().unwrap();
        assert!(ran.status.success(), "{name}");
    }
    for wrong in [&["--behaviour", "nonsense"][..], &["--port"], &["--port", "x"], &["--what", "1"]]
    {
        let ran = command().args(wrong).stdin(Stdio::null()).output().unwrap();
        assert_eq!(ran.status.code(), Some(2), "{wrong:?}");
        assert!(String::from_utf8(ran.stderr).unwrap().contains("--help"), "{wrong:?}");
    }
}
