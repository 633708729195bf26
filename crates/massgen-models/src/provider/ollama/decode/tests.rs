use massgen_protocol::Secret;

use super::*;
use crate::provider::conformance::{Kit, Outcome, asked, decode};
use crate::provider::decode::TURN_BYTES_MAX;
use crate::sse::LINE_BYTES_MAX;

fn decoder() -> Box<dyn Decode> {
    with(Room::default())
}

fn with(room: Room) -> Box<dyn Decode> {
    let failures = Failures::new(Some(Secret::new("key-not-to-be-shown")));
    Box::new(Decoder::new(asked(), failures, room, "ollama_chat/ollama".to_owned()))
}

fn whole(bytes: &[u8]) -> Outcome {
    decode(decoder(), &[bytes], None)
}

#[test]
fn fixtures_decode_the_same_in_any_pieces_and_never_when_cut() {
    Kit { folder: "ollama-chat", fixtures_min: 20, decoder }.check();
}

#[test]
fn a_context_that_is_full_is_told_where_the_figures_show_it() {
    let done = |prompt: u64| {
        format!(
            r#"{{"message":{{"content":"8"}},"done":true,"done_reason":"length",
                "prompt_eval_count":{prompt},"eval_count":96}}"#
        )
        .replace('\n', "")
    };
    let check = |context, is_bounded, prompt, told: &str| {
        let outcome = decode(with(Room { context, is_bounded }), &[done(prompt).as_bytes()], None);
        assert_eq!(outcome.result.unwrap().finish, FinishReason::Length);
        let notices = outcome.notices.join("|");
        assert!(notices.starts_with(told) && notices.is_empty() == told.is_empty(), "{notices}");
    };
    check(Some(4_096), true, 4_000, "the context of 4096 tokens is full; set `context_window`");
    // It was our own bound that cut it.
    check(Some(8_192), true, 4_000, "");
    check(None, true, 4_000, "");
    check(None, false, 4_000, "the reply was cut at 4096 tokens though no bound was asked for");
}

#[test]
fn garbage_is_one_clear_failure() {
    let check = |bytes: &[u8], kind| {
        let failure = whole(bytes).result.unwrap_err();
        assert_eq!(failure.kind, kind, "{failure:?}");
    };
    check(b"<html>Sign in</html>\n", FailureKind::Garbled);
    check(b"[3]\n", FailureKind::Garbled);
    check(b"{\"message\": 3}\n", FailureKind::Garbled);
    check(b"{\n\"message\":\n3}", FailureKind::Garbled);
    check(b"{\n\"message\":\n{", FailureKind::Truncated);
    check(b"", FailureKind::Truncated);
    let deep = format!("{{\"message\":{}", "[".repeat(10_000));
    check(format!("{deep}\n").as_bytes(), FailureKind::Garbled);
    check(&vec![b'x'; LINE_BYTES_MAX + 1], FailureKind::Garbled);
    let mut document = b"{\n".to_vec();
    document.resize(DOCUMENT_BYTES_MAX + 3, b' ');
    let pieces: Vec<&[u8]> = document.chunks(1 << 20).collect();
    let failure = decode(decoder(), &pieces, None).result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Garbled);

    // A character that breaks off is lost, and nothing else.
    let broken = b"{\"message\":{\"content\":\"a\xe2b\"},\"done\":true}\n";
    assert_eq!(whole(broken).result.unwrap().text(), "a\u{fffd}b");
}

#[test]
fn an_endless_reply_ends_at_its_bound() {
    let line = format!("{{\"message\":{{\"content\":\"{}\"}}}}\n", "x".repeat(1 << 20));
    let turn = whole(line.repeat(TURN_BYTES_MAX / (1 << 20) + 4).as_bytes()).result.unwrap();
    assert_eq!(turn.finish, FinishReason::Length);
    assert!(turn.text().len() <= TURN_BYTES_MAX + (1 << 20));
}
