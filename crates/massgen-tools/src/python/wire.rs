//! What is said to the Python process and what it says. It runs code of the user's, so any line
//! of it may be anything.

use massgen_protocol::PythonToolSpec;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Debug, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(super) enum Ask<'a> {
    Load { tools: Vec<Wanted<'a>>, given: Map<String, Value> },
    Call { id: u64, tool: &'a str, arguments: &'a Map<String, Value> },
    Cancel { id: u64 },
}

#[derive(Debug, Serialize)]
pub(super) struct Wanted<'a> {
    name: &'a str,
    path: &'a str,
    function: &'a str,
    preset: &'a Map<String, Value>,
}

impl<'a> Wanted<'a> {
    pub fn new(spec: &'a PythonToolSpec) -> Wanted<'a> {
        Wanted {
            name: &spec.name,
            path: &spec.path,
            function: &spec.function,
            preset: &spec.preset_args,
        }
    }
}

/// One line of the process.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    Loading {
        tool: String,
    },
    Loaded {
        tool: String,
        loaded: Result<Loaded, String>,
    },
    Ready,
    Printed {
        id: u64,
        text: String,
    },
    Ended {
        id: u64,
        answer: Result<Answer, String>,
    },
    /// `ended` is false for a call that runs on in a thread.
    Cancelled {
        id: u64,
        ended: bool,
    },
    /// Not of this protocol.
    Garbage,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Loaded {
    pub description: String,
    pub parameters: Value,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub text: String,
    /// Addresses, `data:` addresses, or base64.
    pub media: Vec<String>,
}

#[derive(Deserialize)]
struct Line {
    loading: Option<String>,
    loaded: Option<String>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    parameters: Value,
    problem: Option<String>,
    ready: Option<bool>,
    id: Option<u64>,
    out: Option<String>,
    result: Option<String>,
    #[serde(default)]
    media: Vec<String>,
    failed: Option<String>,
    cancelled: Option<bool>,
}

impl Said {
    pub fn read(line: &[u8]) -> Said {
        let Ok(line) = serde_json::from_slice::<Line>(line) else { return Said::Garbage };
        if let Some(tool) = line.loading {
            return Said::Loading { tool };
        }
        if let Some(tool) = line.loaded {
            let loaded = Loaded { description: line.description, parameters: line.parameters };
            return Said::Loaded { tool, loaded: line.problem.map_or(Ok(loaded), Err) };
        }
        if line.ready == Some(true) {
            return Said::Ready;
        }
        let Some(id) = line.id else { return Said::Garbage };
        if let Some(text) = line.out {
            Said::Printed { id, text }
        } else if let Some(text) = line.result {
            Said::Ended { id, answer: Ok(Answer { text, media: line.media }) }
        } else if let Some(problem) = line.failed {
            Said::Ended { id, answer: Err(problem) }
        } else if let Some(ended) = line.cancelled {
            Said::Cancelled { id, ended }
        } else {
            Said::Garbage
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_any_line() {
        for (line, expected) in [
            (r#"{"ready":true}"#, Said::Ready),
            (r#"{"loading":"x"}"#, Said::Loading { tool: "x".into() }),
            (
                r#"{"loaded":"x","problem":"p"}"#,
                Said::Loaded { tool: "x".into(), loaded: Err("p".into()) },
            ),
            (r#"{"id":1,"out":"a"}"#, Said::Printed { id: 1, text: "a".into() }),
            (r#"{"id":1,"failed":"a"}"#, Said::Ended { id: 1, answer: Err("a".into()) }),
            (r#"{"id":1,"cancelled":false}"#, Said::Cancelled { id: 1, ended: false }),
            (r#"{"id":-1,"out":"a"}"#, Said::Garbage),
            (r#"{"id":1}"#, Said::Garbage),
            (r#"{"out":"a"}"#, Said::Garbage),
            ("[]", Said::Garbage),
            ("hello", Said::Garbage),
            ("", Said::Garbage),
        ] {
            assert_eq!(Said::read(line.as_bytes()), expected, "{line}");
        }
        assert_eq!(Said::read(b"\xff{\"ready\":true}"), Said::Garbage);
    }
}
