//! What helps against a failed call: said once, wherever a failure is final.

use massgen_protocol::{AgentCard, FailureKind, WireFormat, backend_type};

/// What was called, as far as whoever tells of it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Called<'a> {
    /// The `type` of the backend.
    pub backend: &'a str,
    pub model: &'a str,
    /// Where its key comes from: «the key in `OPENAI_API_KEY`».
    pub key: &'a str,
    /// The API's root; the backend's type stands for it where it is not known.
    pub base_url: Option<&'a str>,
}

/// Returns what a user can do about a failure of this kind.
pub fn remedy(called: Called<'_>, kind: FailureKind) -> String {
    let Called { backend, model, key, base_url } = called;
    if backend_type(backend).is_some_and(|kind| kind.format == WireFormat::Acp) {
        return remedy_of_program(kind).to_owned();
    }
    let at = base_url.unwrap_or(backend);
    match kind {
        FailureKind::Auth => format!("check {key}, and that it may use `{model}`"),
        FailureKind::Quota => "add credit at the provider, or use another key".to_owned(),
        FailureKind::RateLimited => {
            "wait a minute; with `rate_limits` a run keeps within them".to_owned()
        }
        FailureKind::Overloaded => {
            "try again later; with `fallbacks` a run goes on with another model".to_owned()
        }
        FailureKind::BadRequest => format!(
            "check the name `{model}`, and what the config asks of it; `massgen models {backend}` \
             lists what is known"
        ),
        FailureKind::ContextTooLong => {
            "the model takes less than it was given; use one with a larger context".to_owned()
        }
        FailureKind::Unavailable => {
            format!("check that `{at}` is right, up, and reached from here")
        }
        FailureKind::Tls => format!("check the certificate of `{at}`, and any proxy in between"),
        FailureKind::Truncated | FailureKind::Garbled => {
            format!("check that `{at}` is the API's root and speaks the format of its `type`")
        }
        FailureKind::TimedOut => {
            format!("check that `{at}` is not busy; a large model may still be loading")
        }
        FailureKind::CircuitOpen => "try again later".to_owned(),
    }
}

/// What helps against a failure of an agent that is a program; it often says so itself.
fn remedy_of_program(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Auth | FailureKind::Quota => {
            "log in with the program itself, or give the key it takes with `api_key`"
        }
        FailureKind::BadRequest | FailureKind::Unavailable => {
            "check that the program is installed and starts by hand; `command` names another"
        }
        FailureKind::TimedOut | FailureKind::Truncated | FailureKind::Garbled => {
            "start the program by hand once: it may have to fetch or to ask something first"
        }
        FailureKind::RateLimited
        | FailureKind::Overloaded
        | FailureKind::ContextTooLong
        | FailureKind::Tls
        | FailureKind::CircuitOpen => "see what the program says when it is started by hand",
    }
}

/// Returns what a user can do about an agent's failure, of which no more is known than
/// what the run says of the agent.
pub(crate) fn remedy_for(card: &AgentCard, kind: FailureKind) -> String {
    let env = backend_type(&card.backend).and_then(|backend| backend.key_env.first());
    let key = match env {
        Some(name) => format!("the key (`{name}` or `api_key`)"),
        None => "whether the server asks for a key".to_owned(),
    };
    let called = Called { backend: &card.backend, model: &card.model, key: &key, base_url: None };
    remedy(called, kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use massgen_protocol::{AgentId, AgentIndex};

    #[test]
    fn a_remedy_names_what_to_look_at() {
        let card = |backend: &str| AgentCard {
            id: AgentId("a".to_owned()),
            alias: AgentIndex(0),
            model: "m-1".to_owned(),
            backend: backend.to_owned(),
        };
        let check = |backend: &str, kind, expected: &str| {
            assert_eq!(remedy_for(&card(backend), kind), expected);
        };
        check(
            "claude",
            FailureKind::Auth,
            "check the key (`ANTHROPIC_API_KEY` or `api_key`), and that it may use `m-1`",
        );
        check(
            "ollama",
            FailureKind::Auth,
            "check whether the server asks for a key, and that it may use `m-1`",
        );
        check(
            "grok",
            FailureKind::BadRequest,
            "check the name `m-1`, and what the config asks of it; `massgen models grok` lists \
             what is known",
        );
        check(
            "ollama",
            FailureKind::Unavailable,
            "check that `ollama` is right, up, and reached from here",
        );
        check(
            "goose",
            FailureKind::Auth,
            "log in with the program itself, or give the key it takes with `api_key`",
        );
    }
}
