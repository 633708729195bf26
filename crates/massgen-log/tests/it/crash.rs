//! The planted crash, in a process of its own.

use std::path::Path;
use std::process::{Command, Stdio};

use massgen_log::{Reader, RunDir, Writer, WriterOptions};

use crate::fixture::{Fixture, redactor, write_all};
use crate::samples::one_of_each;

const CHILD_DIR: &str = "MASSGEN_LOG_TEST_CRASH_DIR";
const CHILD_SEQ: &str = "MASSGEN_LOG_TEST_CRASH_SEQ";

/// Runs this same test in a second process, which then takes the other branch.
#[test]
fn a_process_dies_right_after_the_line_it_was_told() {
    if let (Ok(dir), Ok(seq)) = (std::env::var(CHILD_DIR), std::env::var(CHILD_SEQ)) {
        write_until_killed(Path::new(&dir), seq.parse().unwrap());
    }
    for seq in [0, 1, 15, 16] {
        let fixture = Fixture::new();
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::a_process_dies_right_after_the_line_it_was_told"])
            .env(CHILD_DIR, fixture.dir.path())
            .env(CHILD_SEQ, seq.to_string())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));

        let log = fixture.log();
        assert_eq!(log.last(), Some(&b'\n'), "no part of a line follows");
        let read: Vec<_> = Reader::open(&fixture.dir).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(read.len() as u64, seq + 1);
        // The dead process keeps no lock.
        let mut resumed = fixture.resume();
        assert_eq!(resumed.torn_bytes, 0);
        assert_eq!(write_all(&mut resumed.writer, one_of_each("x"))[0].seq, seq + 1);
    }
}

fn write_until_killed(dir: &Path, seq: u64) -> ! {
    let dir = RunDir::open(dir).unwrap();
    let options = WriterOptions { crash_after: Some(seq) };
    let mut writer = Writer::create(&dir, redactor(), options).unwrap();
    write_all(&mut writer, one_of_each(&"long ".repeat(1_000)));
    panic!("still alive after event {seq}");
}
