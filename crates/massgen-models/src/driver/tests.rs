use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;
use massgen_protocol::{AssistantTurn, FinishReason, Usage};

use super::*;

/// What a fake backend does next in one try.
#[derive(Clone, Debug)]
enum Act {
    Wait(u64),
    Text(&'static str),
    Alive,
    Finish,
    Fail(FailureKind, Option<u64>),
    Hang,
}

use Act::*;

/// Plays one list of acts a try; the last list again when they run out.
struct Fake {
    tries: Mutex<VecDeque<Vec<Act>>>,
    server: Option<String>,
    dropped: Arc<AtomicUsize>,
}

struct CountsDrops(Arc<AtomicUsize>);

impl Drop for CountsDrops {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Backend for Fake {
    fn name(&self) -> &str {
        "fake"
    }

    fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    fn call(&self, _: ModelCall) -> Beats {
        let mut tries = self.tries.lock().unwrap();
        let acts = tries.pop_front().unwrap();
        if tries.is_empty() {
            tries.push_back(acts.clone());
        }
        let witness = CountsDrops(self.dropped.clone());
        let acts: VecDeque<Act> = acts.into();
        Box::pin(futures::stream::unfold((acts, witness), |(mut acts, witness)| async move {
            loop {
                let beat = match acts.pop_front()? {
                    Wait(ms) => {
                        tokio::time::sleep(Duration::from_millis(ms)).await;
                        continue;
                    }
                    Hang => std::future::pending().await,
                    Alive => Ok(Beat::Alive),
                    Text(text) => Ok(Beat::Event(ModelEvent::Text(text.to_owned()))),
                    Finish => Ok(Beat::Event(ModelEvent::Finished(Box::new(turn())))),
                    Fail(kind, retry_after_ms) => {
                        Err(CallFailure { retry_after_ms, ..failure(kind, format!("{kind:?}")) })
                    }
                };
                return Some((beat, (acts, witness)));
            }
        }))
    }
}

fn turn() -> AssistantTurn {
    let finish = FinishReason::Stop;
    AssistantTurn { parts: Vec::new(), finish, usage: Usage::default(), model: None }
}

const TIMEOUTS: CallTimeouts =
    CallTimeouts { connect_ms: 1_000, first_byte_ms: 5_000, idle_ms: 2_000, total_ms: 60_000 };

fn driver(tries: &[&[Act]], server: Option<&str>) -> (Driver, Arc<AtomicUsize>) {
    let dropped = Arc::new(AtomicUsize::new(0));
    let fake = Fake {
        tries: Mutex::new(tries.iter().map(|acts| acts.to_vec()).collect()),
        server: server.map(str::to_owned),
        dropped: dropped.clone(),
    };
    (Driver::new(Arc::new(fake), TIMEOUTS, 3), dropped)
}

fn call() -> ModelCall {
    ModelCall {
        messages: Arc::default(),
        tools: Arc::default(),
        max_output_tokens: None,
        label: "run/agent1#1.1".to_owned(),
        seed: 7,
    }
}

/// Returns what a consumer sees, one word an event, and the seconds it took.
async fn run(driver: &Driver) -> (Vec<String>, f64) {
    let started = Instant::now();
    let events = driver.call(call()).map(|event| match event {
        Ok(ModelEvent::Text(text)) => text,
        Ok(ModelEvent::Finished(_)) => "finished".to_owned(),
        Ok(ModelEvent::Retrying { failure, attempt, .. }) => {
            format!("retry {attempt}: {}", failure.message)
        }
        Ok(event) => format!("{event:?}"),
        Err(failure) => format!("{:?}: {}", failure.kind, failure.message),
    });
    let events = events.collect().await;
    (events, started.elapsed().as_secs_f64())
}

#[track_caller]
fn check((events, seconds): (Vec<String>, f64), expected: &[&str], between: (f64, f64)) {
    assert_eq!(events, expected);
    assert!(between.0 <= seconds && seconds <= between.1, "{seconds} s");
}

#[tokio::test(start_paused = true)]
async fn each_bound_ends_its_own_silence() {
    use FailureKind::Auth;
    let end: &[Act] = &[Fail(Auth, None)];
    // No first byte.
    let (driver_, _) = driver(&[&[Hang], end], None);
    check(run(&driver_).await, &["retry 1: no answer within 5 s", "Auth: Auth"], (5.125, 5.25));
    // Silence after it: text so far is void after the retry.
    let (driver_, _) =
        driver(&[&[Wait(4_900), Text("a"), Wait(1_900), Text("b"), Hang], end], None);
    check(run(&driver_).await, &["a", "b", "retry 1: silent for 2 s", "Auth: Auth"], (8.9, 9.1));
    // Signs of life are enough to go on, but not for ever.
    let alive: Vec<Act> = (0..100).flat_map(|_| [Wait(1_500), Alive]).collect();
    let (driver_, dropped) = driver(&[&alive], None);
    check(run(&driver_).await, &["TimedOut: not complete within 60 s (1 try)"], (60.0, 60.1));
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again_and_nothing_else() {
    use FailureKind::*;
    for kind in [RateLimited, Overloaded, Unavailable, Truncated, Garbled, TimedOut] {
        let (driver, dropped) = driver(&[&[Text("a"), Fail(kind, None)], &[Finish]], None);
        let (events, _) = run(&driver).await;
        assert_eq!(events, ["a", &format!("retry 1: {kind:?}"), "finished"]);
        assert_eq!(dropped.load(Ordering::Relaxed), 2, "every try is over");
    }
    for kind in [Quota, ContextTooLong, BadRequest, Auth, Tls] {
        let (driver, _) = driver(&[&[Fail(kind, None)], &[Finish]], None);
        check(run(&driver).await, &[&format!("{kind:?}: {kind:?}")], (0.0, 0.0));
    }
    // A stream that just ends.
    let (driver_, _) = driver(&[&[Text("a")], &[Finish]], None);
    let (events, _) = run(&driver_).await;
    assert_eq!(events, ["a", "retry 1: the reply ended without an end", "finished"]);
}

#[tokio::test(start_paused = true)]
async fn tries_are_counted_and_pauses_grow() {
    let (driver, _) = driver(&[&[Fail(FailureKind::RateLimited, None)]], None);
    check(
        run(&driver).await,
        &["retry 1: RateLimited", "retry 2: RateLimited", "RateLimited: RateLimited"],
        (3.0, 6.0),
    );
}

#[tokio::test(start_paused = true)]
async fn a_servers_wish_is_followed_within_the_total() {
    let wish = |ms| [Fail(FailureKind::RateLimited, Some(ms))];
    let (driver_, _) = driver(&[&wish(20_000), &[Finish]], None);
    check(run(&driver_).await, &["retry 1: RateLimited", "finished"], (20.0, 22.0));
    // Waiting would take longer than the call may: the reason is told now.
    let (driver_, _) = driver(&[&wish(60_000), &[Finish]], None);
    check(run(&driver_).await, &["RateLimited: RateLimited"], (0.0, 0.0));
}

#[tokio::test(start_paused = true)]
async fn the_total_covers_pauses_and_all_tries() {
    let (driver, _) = driver(
        &[
            &[Wait(1), Alive, Wait(1_900), Alive, Fail(FailureKind::RateLimited, Some(55_000))],
            &[Text("a"), Wait(1_999), Text("b"), Wait(1_999), Text("c"), Wait(1_999), Text("d")],
        ],
        None,
    );
    let (events, seconds) = run(&driver).await;
    assert_eq!(events[0], "retry 1: RateLimited");
    assert_eq!(events.last().unwrap(), "TimedOut: not complete within 60 s (2 tries)");
    assert!((60.0..60.1).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_never_waits_ends_in_time_too() {
    struct Endless;
    impl Backend for Endless {
        fn name(&self) -> &str {
            "endless"
        }
        fn call(&self, _: ModelCall) -> Beats {
            let beat = || Some(Ok(Beat::Event(ModelEvent::Text(String::new()))));
            Box::pin(futures::stream::poll_fn(move |_| Poll::Ready(beat())))
        }
    }
    let timeouts = CallTimeouts { total_ms: 5, ..TIMEOUTS };
    let mut events = Driver::new(Arc::new(Endless), timeouts, 1).call(call());
    let mut n = 0_u64;
    while let Some(Ok(_)) = events.next().await {
        n += 1;
        if n.is_multiple_of(10_000) {
            tokio::time::advance(Duration::from_millis(1)).await;
        }
    }
    assert!((50_000..52_000).contains(&n), "{n}");
}

#[tokio::test(start_paused = true)]
async fn a_dead_server_opens_the_circuit_and_a_live_one_closes_it() {
    let down: &[Act] = &[Fail(FailureKind::Unavailable, None)];
    let (dead, _) = driver(&[down], Some("test: dead then alive"));
    for _ in 0..3 {
        run(&dead).await;
    }
    // The tenth failure in a row opens it; it closes soon, so that it is waited for.
    let (events, _) = run(&dead).await;
    assert_eq!(events[0], "retry 1: Unavailable");
    assert!(events[1].starts_with("retry 2: not called: 10 calls in a row have failed"));
    assert_eq!(events[2], "Unavailable: Unavailable");
    // Its next openings are longer than a call waits.
    let (alive, _) = driver(&[&[Finish]], Some("test: dead then alive"));
    tokio::time::advance(Duration::from_secs(2)).await;
    run(&dead).await;
    let (events, seconds) = run(&alive).await;
    assert_eq!((events.len(), seconds), (1, 0.0));
    assert!(events[0].starts_with("CircuitOpen: not called"), "{events:?}");
    // Another server of the same kind is not concerned.
    let (other, _) = driver(&[&[Finish]], Some("test: other"));
    assert_eq!(run(&other).await.0, ["finished"]);
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(run(&alive).await.0, ["finished"]);
    assert_eq!(run(&alive).await.0, ["finished"]);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_events_drops_the_try() {
    let (driver, dropped) = driver(&[&[Text("a"), Hang]], None);
    let mut events = driver.call(call());
    assert!(matches!(events.next().await, Some(Ok(ModelEvent::Text(_)))));
    assert_eq!(dropped.load(Ordering::Relaxed), 0);
    drop(events);
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_follows_the_end() {
    let (driver, _) = driver(&[&[Finish, Text("late")]], None);
    assert_eq!(run(&driver).await.0, ["finished"]);
}

#[test]
fn nothing_happens_before_the_first_poll() {
    // Outside of a runtime: anything that started would panic.
    let (driver, dropped) = driver(&[&[Finish]], None);
    drop(driver.call(call()));
    assert_eq!(dropped.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_cannot_serve_hands_over_to_the_next() {
    use FailureKind::{Auth, Unavailable};
    // A passing trouble: the next call begins at the first again.
    let (first, _) = driver(&[&[Text("lost"), Fail(Unavailable, Some(1))]], None);
    let (second, _) = driver(&[&[Fail(Unavailable, Some(1))], &[Text("here"), Finish]], None);
    let team = first.or_else(vec![second]);
    let (events, _) = run(&team).await;
    assert_eq!(events.len(), 9, "{events:?}");
    assert_eq!(events[..4], ["lost", "retry 1: Unavailable", "lost", "retry 2: Unavailable"]);
    assert!(events[5].starts_with("FellBack") && events[5].contains("to: \"fake\""), "{events:?}");
    assert_eq!(events[6..], ["retry 1: Unavailable", "here", "finished"]);
    assert_eq!(run(&team).await.0[0], "lost");

    // A key that is refused is refused every time.
    let (first, dropped) = driver(&[&[Fail(Auth, None)]], None);
    let (second, _) = driver(&[&[Finish]], None);
    let team = first.or_else(vec![second]);
    let (events, _) = run(&team).await;
    assert!(events[0].starts_with("FellBack") && events[1] == "finished", "{events:?}");
    assert_eq!(run(&team).await.0, ["finished"]);
    assert_eq!(dropped.load(Ordering::Relaxed), 1, "the first was called once");

    // Where none can, the last says why.
    let (first, _) = driver(&[&[Fail(Auth, None)]], None);
    let (second, _) = driver(&[&[Fail(FailureKind::BadRequest, None)]], None);
    let (events, _) = run(&first.or_else(vec![second])).await;
    assert_eq!(events.last().unwrap(), "BadRequest: BadRequest");
}

#[tokio::test(start_paused = true)]
async fn calls_wait_for_their_turn_and_say_so() {
    let spec = BackendSpec {
        timeouts: TIMEOUTS,
        rate_limits: massgen_protocol::RateLimits {
            requests_per_minute: Some(1),
            ..Default::default()
        },
        prices: Prices { output_micros: 1_000_000, ..Prices::default() },
        ..BackendSpec::new("fake", "m", "http://turns.test/v1")
    };
    let limited = || {
        let (fake, _) = driver(&[&[Text("a"), Finish]], None);
        Driver::of(fake.rungs[0].backend.clone(), &spec)
    };
    check(run(&limited()).await, &["a", "finished"], (0.0, 0.1));
    // Another agent with the same key.
    let told = "Throttled { wait_ms: 60000 }";
    check(run(&limited()).await, &[told, "a", "finished"], (59.9, 60.1));
    // One that gives up waiting gives its place back.
    let mut waiting = limited().call(call());
    assert!(matches!(waiting.next().await, Some(Ok(ModelEvent::Throttled { .. }))));
    drop(waiting);
    check(run(&limited()).await, &[told, "a", "finished"], (59.9, 60.1));
}

#[tokio::test(start_paused = true)]
async fn a_model_that_repeats_itself_is_told_of_once() {
    let mut looping = vec![Text("Let me search for that. "); 10_000];
    looping.push(Finish);
    let (driver_, _) = driver(&[&looping], None);
    let (events, _) = run(&driver_).await;
    let told: Vec<usize> =
        (0..events.len()).filter(|&n| events[n].contains("over and over")).collect();
    assert!(told.len() == 1 && told[0] < 1_500, "{told:?}");
    assert_eq!(events.len(), 10_002);
}
