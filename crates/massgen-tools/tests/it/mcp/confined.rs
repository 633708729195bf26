//! Servers that are not trusted.

use std::fs;

use massgen_sandbox::Rung;
use serde_json::json;

use super::bench::{Bench, faulty, inner, is_alive, sandbox, until};

async fn confined() -> Bench {
    assert_ne!(sandbox().rung(), Rung::Off, "nothing here confines anything");
    let bench = Bench::new(|dir| {
        fs::write(dir.join("secret.txt"), "of another agent").unwrap();
        let mut server = faulty(&dir.join("work"), "s", &[]);
        server.trusted = false;
        vec![server]
    })
    .await;
    assert_eq!(bench.missing(), Vec::<String>::new());
    bench
}

#[tokio::test]
async fn a_server_that_is_not_trusted_keeps_to_its_workspace() {
    let bench = confined().await;
    let work = bench.dir.path().canonicalize().unwrap().join("work");
    let text = bench.call("where", json!({})).await;
    assert_eq!(inner(&text), work.to_str().unwrap());
    let within = bench.call("write", json!({ "path": work.join("a.txt") })).await;
    assert!(!within.is_error, "{}", within.text);
    assert_eq!(fs::read_to_string(work.join("a.txt")).unwrap(), "written");

    let secret = bench.dir.path().join("secret.txt");
    let read = bench.call("read", json!({ "path": secret })).await;
    assert!(read.is_error && !read.text.contains("of another"), "{}", read.text);
    let new = bench.dir.path().join("new.txt");
    for path in [&secret, &new] {
        // A place of the same name in a world of its own may well be written to.
        bench.call("write", json!({ "path": path })).await;
    }
    assert!(!new.exists());
    let written = bench.call("write", json!({ "path": "/etc/massgen-test" })).await;
    assert!(written.is_error, "{}", written.text);
    assert_eq!(fs::read_to_string(secret).unwrap(), "of another agent");
    if let Some(home) = std::env::var_os("HOME") {
        let path = std::path::Path::new(&home).join("massgen-test-of-a-server");
        let written = bench.call("write", json!({ "path": path })).await;
        assert!(written.is_error && !path.exists(), "{}", written.text);
    }
    // It has a home directory of its own.
    let environment = bench.call("environment", json!({})).await;
    let environment: serde_json::Value = serde_json::from_str(inner(&environment)).unwrap();
    for name in ["HOME", "TMPDIR"] {
        let place = environment[name].as_str().unwrap();
        assert!(place.starts_with(bench.dir.path().join("scratch").to_str().unwrap()), "{place}");
        let file = format!("{place}/x");
        assert!(!bench.call("write", json!({ "path": file })).await.is_error);
    }
}

#[tokio::test]
async fn a_confined_server_ends_with_all_it_started() {
    let bench = confined().await;
    let log = bench.dir.path().join("work/s.log");
    let starts = || fs::read_to_string(&log).unwrap_or_default().matches("\"started\"").count();
    assert_eq!(starts(), 1);
    bench.call("child", json!({})).await;
    let sleeping = || {
        // By its own words: inside it may have another number.
        let all = fs::read_dir("/proc").unwrap().flatten();
        let pids = all.filter_map(|entry| entry.file_name().into_string().ok());
        let work = bench.dir.path().join("work").canonicalize().unwrap();
        pids.filter(|pid| {
            let cwd = fs::read_link(format!("/proc/{pid}/cwd"));
            cwd.is_ok_and(|cwd| cwd == work) && is_alive(pid)
        })
        .count()
    };
    until("the server and its child", || sleeping() >= 2).await;
    bench.servers.close().await;
    until("all to be gone", || sleeping() == 0).await;
}
