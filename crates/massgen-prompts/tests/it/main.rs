#![allow(clippy::unwrap_used, clippy::expect_used)]

mod hostile;
mod items;
mod system;
mod tools;

use std::collections::BTreeMap;

use massgen_prompts::{AnswerView, Prompts, View};
use massgen_protocol::{AgentIndex, Alias, AnswerId};

fn prompts() -> Prompts {
    Prompts::new(BTreeMap::new()).unwrap()
}

/// The `n`-th answer of `agent3`, say, as somebody else sees it.
fn answer(agent: u16, n: u32, text: &str) -> AnswerView<'_> {
    let alias = Alias(agent);
    AnswerView { alias, label: AnswerId { agent: alias.index(), n }, text, own: false }
}

fn label(agent: u16, n: u32) -> AnswerId {
    AnswerId { agent: AgentIndex(agent - 1), n }
}

/// A view in the middle of a conversation, with two answers of others and one's own.
fn view<'a>() -> View<'a> {
    let mut own = answer(1, 1, "6 Gpc");
    own.own = true;
    View {
        answers: vec![answer(2, 1, "8.95 Gpc"), answer(3, 2, "8 Gpc, see the integral."), own],
        first: false,
        enforce_left: 2,
        ..View::new("How far is the quasar?", Alias(1))
    }
}
