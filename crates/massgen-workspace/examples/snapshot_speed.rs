//! What snapshots cost, beside `cp -a` of the same files in the same minute.
//!
//! Prints a JSON object a line: `figure`, `target`, and what was measured. An argument is the
//! folder to work in; it needs about 6 GB, and is a temporary one without it.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use massgen_workspace::{Changes, Limits, Places, Stop, Store, TakeOptions, View, ViewMode, Views};
use serde_json::json;

const FILES: usize = 10_000;
const FOLDERS: usize = 100;
const FILE_BYTES: usize = 10_000;
const CHANGED: usize = 10;
const AGENTS: usize = 50;
const TIMES: usize = 3;

fn main() {
    let folder = std::env::args().nth(1).map(PathBuf::from);
    let dir = match &folder {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    };
    let dir = dir.unwrap();
    let dir = dir.path().canonicalize().unwrap();
    many_files(&dir);
    views(&dir);
    large_file(&dir);
    hundred_thousand(&dir);
}

fn many_files(dir: &Path) {
    let work = dir.join("work");
    fill(&work, FILES);
    sync();
    let (mut copies, mut firsts, mut unchanged, mut nexts, mut growths) =
        (vec![], vec![], vec![], vec![], vec![]);
    let mut restores = vec![];
    for time in 0..TIMES {
        let copy = dir.join("copy");
        copies.push(timed(|| {
            let done = Command::new("cp").arg("-a").arg(&work).arg(&copy).status();
            assert!(done.unwrap().success());
        }));
        fs::remove_dir_all(&copy).unwrap();
        sync();
        let store_dir = dir.join(format!("store-{time}"));
        let store = Store::open(&store_dir, Limits::default()).unwrap();
        let take = || store.take(&work, &TakeOptions::default()).unwrap();
        let mut first = None;
        firsts.push(timed(|| first = Some(take())));
        let first = first.unwrap();
        sync();
        unchanged.push(timed(|| assert_eq!(take().id, first.id)));
        let changed = change(&work, time);
        sync();
        let before = disk_bytes(&store_dir);
        let mut next = None;
        nexts.push(timed(|| next = Some(take())));
        let next = next.unwrap();
        assert_eq!(next.files_read, u64::try_from(CHANGED).unwrap());
        growths.push(ratio(disk_bytes(&store_dir) - before, changed));
        let out = dir.join("out");
        restores.push(timed(|| store.restore_new(&next.id, &out, &Stop::default()).unwrap()));
        fs::remove_dir_all(&out).unwrap();
        drop(store);
        remove(&store_dir);
        sync();
    }
    let copy = median(copies);
    let (first, next) = (median(firsts), median(nexts));
    let times = |ms: f64| (ms / copy * 100.0).round() / 100.0;
    say("10,000 files of 100 MB: cp -a", "", json!({ "ms": copy }));
    say("first snapshot", "≤ 2.5 × cp -a", json!({ "ms": first, "times_cp": times(first) }));
    let unchanged = median(unchanged);
    say("next one, nothing changed", "", json!({ "ms": unchanged, "times_cp": times(unchanged) }));
    say(
        "next one, 10 files changed",
        "≤ 0.25 × cp -a",
        json!({ "ms": next, "times_cp": times(next) }),
    );
    say(
        "disk growth by the changed bytes",
        "≤ 1.2 ×",
        json!({ "times": growths.into_iter().fold(0.0, f64::max) }),
    );
    let restore = median(restores);
    say("restored as a copy", "", json!({ "ms": restore, "times_cp": times(restore) }));
    remove(&work);
}

/// Fifty agents with a snapshot of a thousand files each, most of them the same in all.
fn views(dir: &Path) {
    let store = Store::open(&dir.join("views"), Limits::default()).unwrap();
    let work = dir.join("work");
    fill(&work, 1_000);
    let take = |agent: usize| {
        fs::write(work.join("own.txt"), format!("agent {agent}")).unwrap();
        store.take(&work, &TakeOptions::default()).unwrap().id
    };
    let wanted: Vec<View> = (0..AGENTS)
        .map(|agent| View { name: format!("agent{}", agent + 1), snapshot: take(agent) })
        .collect();
    let places: Vec<Places> = (0..AGENTS).map(|agent| places(dir, agent)).collect();
    let before = disk_bytes(dir);
    let agents: Vec<Views> =
        places.iter().map(|places| Views::new(store.clone(), places.clone())).collect();
    let lay = || {
        for views in &agents {
            let (mode, changes) = (ViewMode::Linked, Changes::Drop);
            views.prepare(&wanted, mode, changes, &Stop::default()).unwrap();
        }
    };
    let first = timed(lay);
    let again = timed(lay);
    for places in &places {
        for agent in [1, AGENTS] {
            let seen = fs::read_to_string(places.temp.join(format!("agent{agent}/own.txt")));
            assert_eq!(seen.unwrap(), format!("agent {}", agent - 1));
        }
    }
    say(
        "50 agents see 50 snapshots of 1,000 files",
        "no 2,500 copies",
        json!({
            "ms": first,
            "again_ms": again,
            "trees": AGENTS,
            "links": AGENTS * AGENTS,
            "disk_mb": (disk_bytes(dir) - before) / 1_000_000,
            "copies_would_be_mb": AGENTS * AGENTS * 1_000 * FILE_BYTES / 1_000_000,
        }),
    );
    drop((agents, store));
    remove(&work);
    remove(&dir.join("views"));
}

/// 2 GB of data, 2 GB with next to none; and whether an event loop beside it is held up.
fn large_file(dir: &Path) {
    let store = Store::open(&dir.join("large"), Limits::default()).unwrap();
    let work = dir.join("work");
    fs::create_dir(&work).unwrap();
    let sparse = File::create(work.join("sparse.bin")).unwrap();
    sparse.set_len(2 << 30).unwrap();
    sparse.write_all_at(b"somewhere", 1 << 30).unwrap();
    drop(sparse);
    let before = disk_bytes(dir);
    let (ms, stall) = beside_event_loop(&store, &work);
    say(
        "a sparse file of 2 GB",
        "holes kept",
        json!({ "ms": ms, "disk_kb": (disk_bytes(dir) - before) / 1_000, "stall_ms": stall }),
    );
    let full = File::create(work.join("full.bin")).unwrap();
    let mut random = Random(7);
    for piece in 0..2_048_u64 {
        let block: Vec<u8> = random.bytes(1 << 20);
        full.write_all_at(&block, piece << 20).unwrap();
    }
    drop(full);
    let before = peak_mb();
    let (ms, stall) = beside_event_loop(&store, &work);
    say(
        "a file of 2 GB",
        "event loop not blocked",
        json!({ "ms": ms, "memory_grew_mb": peak_mb() - before, "stall_ms": stall }),
    );
    drop(store);
    remove(&work);
    remove(&dir.join("large"));
}

fn hundred_thousand(dir: &Path) {
    let store = Store::open(&dir.join("many"), Limits::default()).unwrap();
    let work = dir.join("work");
    for folder in 0..1_000 {
        let folder = work.join(folder.to_string());
        fs::create_dir_all(&folder).unwrap();
        for file in 0..100 {
            fs::write(folder.join(file.to_string()), folder.as_os_str().as_encoded_bytes())
                .unwrap();
        }
    }
    let take = || assert_eq!(store.take(&work, &TakeOptions::default()).unwrap().files, 100_000);
    let first = timed(take);
    let next = timed(take);
    say("100,000 small files", "a few seconds", json!({ "ms": first, "unchanged_ms": next }));
}

/// Takes a snapshot as the runtime does, and returns how long it took and the longest time
/// that a timer of the event loop was late.
fn beside_event_loop(store: &Store, work: &Path) -> (f64, f64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (store, work) = (store.clone(), work.to_path_buf());
    runtime.block_on(async {
        let begin = Instant::now();
        let mut taken = tokio::task::spawn_blocking(move || {
            store.take(&work, &TakeOptions::default()).map(|taken| taken.bytes)
        });
        let mut stall = Duration::ZERO;
        let tick = Duration::from_millis(1);
        loop {
            let asleep = Instant::now();
            tokio::select! {
                done = &mut taken => {
                    done.unwrap().unwrap();
                    return (ms(begin.elapsed()), ms(stall));
                }
                () = tokio::time::sleep(tick) => {
                    stall = stall.max(asleep.elapsed().saturating_sub(tick));
                }
            }
        }
    })
}

fn places(dir: &Path, agent: usize) -> Places {
    let own = dir.join("agents").join(agent.to_string());
    let places = Places {
        workspace: own.join("workspace"),
        temp: own.join("temp"),
        scratch: own.join("scratch"),
    };
    fs::create_dir_all(&places.temp).unwrap();
    places
}

fn fill(work: &Path, files: usize) {
    let mut random = Random(1);
    for file in 0..files {
        let folder = work.join(format!("folder-{:03}", file % FOLDERS));
        if file < FOLDERS {
            fs::create_dir_all(&folder).unwrap();
        }
        fs::write(folder.join(format!("file-{file:05}.txt")), random.bytes(FILE_BYTES)).unwrap();
    }
}

/// Rewrites ten files in ten folders and returns their bytes.
fn change(work: &Path, time: usize) -> u64 {
    let mut random = Random(u64::try_from(time).unwrap() + 100);
    for file in 0..CHANGED {
        let path = work.join(format!("folder-{file:03}/file-{file:05}.txt"));
        fs::write(path, random.bytes(FILE_BYTES)).unwrap();
    }
    u64::try_from(CHANGED * FILE_BYTES).unwrap()
}

/// Bytes that do not compress and are the same every time.
struct Random(u64);

impl Random {
    fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(n + 8);
        while bytes.len() < n {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            bytes.extend_from_slice(&(self.0 ^ (self.0 >> 29)).to_le_bytes());
        }
        bytes.truncate(n);
        bytes
    }
}

fn disk_bytes(path: &Path) -> u64 {
    let stat = fs::symlink_metadata(path).unwrap();
    let own = if stat.nlink() > 1 && stat.is_file() {
        stat.blocks() * 512 / stat.nlink()
    } else {
        stat.blocks() * 512
    };
    match stat.is_dir() {
        true => {
            let entries = fs::read_dir(path).unwrap();
            own + entries.map(|entry| disk_bytes(&entry.unwrap().path())).sum::<u64>()
        }
        false => own,
    }
}

fn remove(path: &Path) {
    // Shared trees are read-only; `rm` is told to insist.
    let done = Command::new("chmod").args(["-R", "u+w"]).arg(path).status();
    assert!(done.unwrap().success());
    fs::remove_dir_all(path).unwrap();
}

fn sync() {
    assert!(Command::new("sync").status().unwrap().success());
}

fn timed(run: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    run();
    ms(begin.elapsed())
}

fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn ratio(a: u64, b: u64) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    let ratio = a as f64 / b as f64;
    (ratio * 100.0).round() / 100.0
}

/// The most memory the process ever held.
fn peak_mb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kb = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kb| kb.parse().ok());
    kb.unwrap_or(0_u64) / 1_000
}

fn say(figure: &str, target: &str, measured: serde_json::Value) {
    let mut line = json!({ "figure": figure, "target": target });
    line.as_object_mut().unwrap().extend(measured.as_object().unwrap().clone());
    println!("{line}");
}
