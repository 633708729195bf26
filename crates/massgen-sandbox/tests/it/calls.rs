//! Ordinary calls.

use massgen_sandbox::Ended;

use crate::world::{World, run, sandboxes, shell};

#[tokio::test]
async fn ordinary_work_is_done() {
    for (name, sandbox) in sandboxes() {
        let world = World::new();
        let outcome =
            run(sandbox, &world.confinement(), shell("echo hi; pwd; id -u; echo oops >&2; exit 3"))
                .await;
        println!("{name}: {outcome:?} {:?}", sandbox.describe());
        assert_eq!(outcome.ended, Ended::Exit(3), "{name}");
    }
}
