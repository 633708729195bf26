//! Google's own tools, which run on its side: search, and code.

use massgen_protocol::ModelEvent;
use serde_json::{Map, Value, json};

use crate::backend::Beat;
use crate::provider::decode::Out;

const CODE: &str = "code_execution";
const SEARCH: &str = "web_search";
/// Sources kept of one reply; the longest lists have some fifty.
const SOURCES_MAX: usize = 100;
/// Uses of such tools that are told of in one reply.
const USES_MAX: usize = 128;

/// What such tools did in one reply.
#[derive(Debug, Default)]
pub(super) struct Remote {
    uses: usize,
    /// Begun and not done: id and name.
    open: Vec<(String, String)>,
    /// Searches that are done but for their sources, which come last: id and answer.
    searched: Vec<(String, String)>,
    queries: Vec<Value>,
    sources: Vec<Value>,
}

impl Remote {
    /// Takes a part in; returns whether it is of such a tool.
    pub(super) fn part(&mut self, part: &Map<String, Value>, out: &mut Out) -> bool {
        if let Some(code) = part.get("executableCode") {
            self.start(id_of(code), CODE, text(code.get("code")), out);
        } else if let Some(result) = part.get("codeExecutionResult") {
            let is_error = result.get("outcome").is_some_and(|outcome| outcome != "OUTCOME_OK");
            self.finish_open(id_of(result), CODE, text(result.get("output")), is_error, out);
        } else if let Some(call) = part.get("toolCall") {
            self.start(id_of(call), &tool_name(call), text(call.get("args")), out);
        } else if let Some(answer) = part.get("toolResponse") {
            let name = tool_name(answer);
            let (id, output) = (id_of(answer), text(answer.get("response")));
            match self.open.iter().position(|(open, _)| id.as_ref().is_none_or(|id| id == open)) {
                Some(at) if name == SEARCH => {
                    self.searched.push((self.open.remove(at).0, output));
                }
                Some(_) | None => self.finish_open(id, &name, output, false, out),
            }
        } else {
            return false;
        }
        true
    }

    /// Takes in what a reply is grounded in. It may come more than once, and grow.
    pub(super) fn grounding(&mut self, metadata: &Value) {
        let list = |key: &str| metadata.get(key).and_then(Value::as_array).into_iter().flatten();
        for query in list("webSearchQueries") {
            add(&mut self.queries, query.clone());
        }
        for chunk in list("groundingChunks") {
            let web = chunk.get("web").or_else(|| chunk.get("retrievedContext"));
            if let Some(web) = web {
                add(&mut self.sources, json!({"title": web.get("title"), "uri": web.get("uri")}));
            }
        }
    }

    /// Tells what is left to tell when the reply is over.
    pub(super) fn finish(&mut self, out: &mut Out) {
        let sources = std::mem::take(&mut self.sources);
        let queries = std::mem::take(&mut self.queries);
        let searched = std::mem::take(&mut self.searched);
        if !searched.is_empty() {
            for (id, answer) in searched {
                let output = if sources.is_empty() {
                    answer
                } else {
                    json!({"sources": sources}).to_string()
                };
                finished(id, SEARCH, output, false, out);
            }
        } else if !queries.is_empty() || !sources.is_empty() {
            let input = json!({"queries": queries}).to_string();
            if let Some(id) = self.begin(None, SEARCH, input, out) {
                finished(id, SEARCH, json!({"sources": sources}).to_string(), false, out);
            }
        }
        for (id, name) in std::mem::take(&mut self.open) {
            finished(id, &name, String::new(), false, out);
        }
    }

    fn start(&mut self, id: Option<String>, name: &str, input: String, out: &mut Out) {
        if let Some(id) = self.begin(id, name, input, out) {
            self.open.push((id, name.to_owned()));
        }
    }

    fn begin(
        &mut self,
        id: Option<String>,
        name: &str,
        input: String,
        out: &mut Out,
    ) -> Option<String> {
        if self.uses == USES_MAX {
            return None;
        }
        self.uses += 1;
        let id = id.unwrap_or_else(|| format!("{name}_{}", self.uses));
        let started =
            ModelEvent::RemoteToolStarted { id: id.clone(), name: name.to_owned(), input };
        out.push_back(Beat::Event(started));
        Some(id)
    }

    /// Ends the use of this id or, where there is none, the first of this name.
    fn finish_open(
        &mut self,
        id: Option<String>,
        name: &str,
        output: String,
        is_error: bool,
        out: &mut Out,
    ) {
        let is = |(open, of): &(String, String)| match &id {
            Some(id) => id == open,
            None => of == name,
        };
        if let Some(at) = self.open.iter().position(is) {
            let (id, name) = self.open.remove(at);
            finished(id, &name, output, is_error, out);
        }
    }
}

fn finished(id: String, name: &str, output: String, is_error: bool, out: &mut Out) {
    let name = name.to_owned();
    out.push_back(Beat::Event(ModelEvent::RemoteToolFinished { id, name, output, is_error }));
}

fn add(list: &mut Vec<Value>, item: Value) {
    if list.len() < SOURCES_MAX && !list.contains(&item) {
        list.push(item);
    }
}

fn id_of(value: &Value) -> Option<String> {
    value.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()).map(str::to_owned)
}

/// Returns our name of a tool: `GOOGLE_SEARCH_WEB` and its like are searches.
fn tool_name(call: &Value) -> String {
    let kind = call.get("toolType").and_then(Value::as_str).unwrap_or("tool");
    if kind.starts_with("GOOGLE_SEARCH") { SEARCH.to_owned() } else { kind.to_ascii_lowercase() }
}

fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
