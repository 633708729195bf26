//! What confines the commands of tests: in the product it is `massgen __sandbox`.

use std::process::ExitCode;

fn main() -> ExitCode {
    massgen_sandbox::helper(std::env::args_os().skip(1))
}
