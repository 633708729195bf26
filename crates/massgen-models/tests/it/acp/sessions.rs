//! One session over many calls, over a crash and over a resume.

use std::sync::Arc;

use futures::StreamExt;
use massgen_protocol::{FinishReason, Message, ModelEvent, Role};

use super::fake::{Fake, after, question, user};
use crate::support::{call, listen};

#[tokio::test]
async fn each_call_tells_only_what_is_new() {
    let fake = Fake::new(&[]);
    let first = question("do: call vote {}");
    let turn = listen(&fake.driver, first.clone()).await.turn.unwrap();
    let second = after(&first, &turn, Some("do: say again"));
    let heard = listen(&fake.driver, second.clone()).await;
    assert_eq!(heard.text, "again");
    let prompts = fake.prompts();
    assert!(prompts[0].starts_with("Be brief.\n\ndo: call vote {}\n\nThe tools named above"));
    assert_eq!(prompts[1], "result of vote: counted\n\ndo: say again");
    assert_eq!(prompts.len(), 2);
    assert_eq!((fake.got("initialize").len(), fake.got("session/new").len()), (1, 1));
}

#[tokio::test]
async fn a_cost_is_told_once() {
    let fake = Fake::new(&[]);
    let first = question("do: cost 0.25");
    let turn = listen(&fake.driver, first.clone()).await.turn.unwrap();
    let second = after(&first, &turn, Some("do: cost 0.75"));
    let turn = listen(&fake.driver, second).await.turn.unwrap();
    assert_eq!(turn.usage.cost_micros, Some(500_000));
}

#[tokio::test]
async fn a_resumed_run_opens_the_session_it_has_noted() {
    for (option, method) in [("--start", "session/load"), ("--resume", "session/resume")] {
        let fake = Fake::new(&[option, "well"]);
        let first = question("do: say one");
        let turn = listen(&fake.driver, first.clone()).await.turn.unwrap();
        // Written down and read again, as a run's log is.
        let kept: massgen_protocol::AssistantTurn =
            serde_json::from_str(&serde_json::to_string(&turn).unwrap()).unwrap();
        let second = after(&first, &kept, Some("do: say two"));
        let heard = listen(&fake.again(), second).await;
        assert_eq!(heard.text, "two", "what is played back is not said again");
        assert_eq!(fake.got(method)[0]["sessionId"], "s1");
        assert_eq!(fake.prompts()[1], "do: say two");
    }
}

#[tokio::test]
async fn a_session_that_is_lost_is_told_anew() {
    let fake = Fake::new(&["--no-load"]);
    let first = question("do: say one");
    let turn = listen(&fake.driver, first.clone()).await.turn.unwrap();
    let second = after(&first, &turn, Some("do: say two"));
    let turn = listen(&fake.again(), second).await.turn.unwrap();
    assert_eq!(turn.text(), "onetwo", "this agent does all the lines it is told");
    let prompt = &fake.prompts()[1];
    assert!(prompt.starts_with("What follows is the conversation so far"), "{prompt}");
    assert!(prompt.contains("You said:\none"), "{prompt}");
    assert!(fake.got("session/load").is_empty());
}

#[tokio::test]
async fn another_conversation_gets_another_session() {
    let fake = Fake::new(&[]);
    fake.ask("do: say one").await;
    let other = call(vec![Message::text(Role::System, "Be long."), user("do: say two")]);
    assert_eq!(listen(&fake.driver, other).await.text, "two");
    assert_eq!(fake.got("session/new").len(), 2);
    assert_eq!(fake.got("initialize").len(), 1, "in the same process");
}

#[tokio::test]
async fn what_another_model_said_is_told_as_text() {
    let fake = Fake::new(&[]);
    let first = question("do: say one");
    let turn = listen(&fake.driver, first.clone()).await.turn.unwrap();
    let mut messages = after(&first, &turn, Some("And?")).messages.to_vec();
    messages.push(Arc::new(Message::text(Role::Assistant, "a fallback's words")));
    messages.push(Arc::new(user("do: say three")));
    let third = massgen_protocol::ModelCall { messages: Arc::new(messages), ..first };
    assert_eq!(listen(&fake.driver, third).await.text, "three");
    assert_eq!(fake.prompts()[1], "And?\n\nYou said:\na fallback's words\n\ndo: say three");
}

#[tokio::test]
async fn a_crash_in_a_turn_is_mended_by_a_new_process_and_the_old_session() {
    let fake = Fake::with(&[], |spec| spec.tries_max = 2);
    let first = question("do: pid");
    let heard = listen(&fake.driver, first.clone()).await;
    let turn = heard.turn.unwrap();
    let marker = fake.cwd.join("crashed");
    let crash = after(&first, &turn, Some("do: crash out of luck"));
    let heard = listen(&fake.driver, crash).await;
    // The same prompt makes it crash again; what counts is how.
    let failure = heard.failure.unwrap();
    assert!(failure.message.contains("exit status: 3"), "{}", failure.message);
    assert!(failure.message.contains("fatal: out of luck"), "{}", failure.message);
    assert_eq!(heard.retries.len(), 1);
    assert_eq!(fake.got("session/load").len(), 1, "the second try opened the session again");
    assert_eq!(fake.prompts()[1..], ["do: crash out of luck", "do: crash out of luck"]);
    assert!(!marker.exists());
    let well = after(&first, &turn, Some("do: pid"));
    let again = listen(&fake.driver, well).await.turn.unwrap();
    assert_ne!(again.text(), turn.text(), "it is another process");
}

#[tokio::test]
async fn a_call_that_is_dropped_stops_the_turn_and_the_next_goes_on() {
    let fake = Fake::new(&[]);
    let first = question("do: say thinking\ndo: wait");
    let mut events = fake.driver.call(first.clone());
    loop {
        match events.next().await.unwrap().unwrap() {
            ModelEvent::Text(text) if text == "thinking" => break,
            _ => {}
        }
    }
    drop(events);
    // The same call again, as after a time-out: nothing new, so it is asked to go on.
    let turn = listen(&fake.driver, first.clone()).await.turn.unwrap();
    assert_eq!(turn.finish, FinishReason::Stop);
    assert_eq!(fake.got("session/cancel").len(), 1);
    assert!(fake.prompts()[1].starts_with("Your last turn was broken off"));
    assert_eq!((fake.got("initialize").len(), fake.got("session/new").len()), (1, 1));
}

#[tokio::test]
async fn an_agent_that_does_not_stop_is_ended_and_its_call_stands() {
    let fake = Fake::new(&["--stubborn"]);
    let turn = fake.ask("do: call vote {}\ndo: hang").await.turn.unwrap();
    assert_eq!(turn.finish, FinishReason::ToolCalls);
    let again = fake.ask("do: say back").await;
    assert_eq!(again.text, "back");
    assert_eq!(fake.got("initialize").len(), 2, "in a new process");
}
