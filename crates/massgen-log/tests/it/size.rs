//! What a long answer weighs.

use massgen_protocol::{
    Arguments, AssistantTurn, EventBody, FinishReason, Kept, Millis, Part, TextChannel, ToolCall,
    ToolCallId, Usage,
};

use crate::fixture::Fixture;

/// Characters that the runtime puts into one event at least, unless time passes.
const COALESCED: usize = 512;

/// Words as a language model writes them: mostly common, some rare.
fn words(n: usize) -> String {
    const COMMON: [&str; 24] = [
        "the",
        "of",
        "and",
        "distance",
        "is",
        "we",
        "integrate",
        "over",
        "redshift",
        "so",
        "that",
        "model",
        "a",
        "in",
        "answer",
        "for",
        "parameter",
        "to",
        "value",
        "which",
        "result",
        "agents",
        "because",
        "measured",
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut text = String::new();
    for _ in 0..n {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push(' ');
        if state.is_multiple_of(5) {
            text.push_str(&format!("{:x}", state >> 44));
        } else {
            text.push_str(COMMON[(state >> 20) as usize % COMMON.len()]);
        }
    }
    text
}

#[test]
fn a_run_with_an_answer_of_100_000_tokens_stays_within_a_megabyte() {
    // A token is about three quarters of a word.
    let text = words(75_000);
    let fixture = Fixture::new();
    let mut writer = fixture.writer();
    let call: massgen_protocol::CallId = "agent1#1.1".parse().unwrap();
    let mut at = 0;
    let mut n_events = 0;
    for piece in text.as_bytes().chunks(COALESCED) {
        at += 30;
        n_events += 1;
        let text = String::from_utf8(piece.to_vec()).unwrap();
        writer
            .append(Millis(at), EventBody::TextStreamed { call, channel: TextChannel::Text, text });
    }
    let mut arguments = serde_json::Map::new();
    arguments.insert("content".to_owned(), text.clone().into());
    let turn = AssistantTurn {
        parts: vec![Part::ToolCall(ToolCall {
            id: ToolCallId("call-1".to_owned()),
            name: "new_answer".to_owned(),
            arguments: Arguments::Object { value: arguments },
        })],
        finish: FinishReason::ToolCalls,
        usage: Usage { output: 100_000, ..Usage::default() },
        model: None,
    };
    let spend = massgen_protocol::Spend::default();
    writer.append(Millis(at), EventBody::CallFinished { call, turn: Kept::inline(turn), spend });
    let text = Kept::inline(text);
    let round = call.round;
    writer.append(
        Millis(at),
        EventBody::AnswerSubmitted {
            round,
            seen: massgen_protocol::Epoch(0),
            text: text.clone(),
            salvaged: false,
        },
    );
    writer.append(Millis(at), EventBody::Presented { round, text });
    assert_eq!(writer.close(), None);

    let mut bytes = 0;
    for folder in [fixture.dir.path().to_owned(), fixture.dir.payloads_path()] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let metadata = entry.unwrap().metadata().unwrap();
            bytes += if metadata.is_file() { metadata.len() } else { 0 };
        }
    }
    assert!(bytes <= 1_000_000, "{bytes} bytes with {n_events} events of text");
    assert_eq!(fixture.read().len(), n_events + 3);
}
