//! Teams without a config file.

use massgen_protocol::{BackendType, RunSpec, backend_type, backend_types};

use crate::load::{finish, read};
use crate::node::Node;
use crate::problem::Problem;
use crate::reader::Reader;
use crate::report::Report;
use crate::{Environment, Overrides};

/// One agent of a quick team.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuickModel {
    /// As the user wrote it; `groq/llama-3.3-70b-versatile` names the type as well. Empty for
    /// the usual one of `kind`.
    pub model: String,
    pub base_url: Option<String>,
    /// The `type` of its backend, where it is known.
    pub kind: Option<String>,
}

/// Builds a team of the given models, called `agent1`, `agent2`, …
///
/// # Errors
/// All that stands in its way, as [`load`](crate::load) tells it.
pub fn quick_team(
    models: &[QuickModel],
    env: &Environment,
    overrides: &Overrides,
) -> Result<RunSpec, Vec<Problem>> {
    let agents = models.iter().map(|model| Node::entries([("backend", backend(model))]));
    let root = Node::entries([("agents", Node::list(Default::default(), agents.collect()))]);
    let mut reader = Reader { env, report: Report::new("command line") };
    let spec = read(&mut reader, &root, overrides);
    finish(reader, spec).spec
}

/// Returns the default model of every provider whose key is in the environment, in
/// the order of the table; a key that serves two types is taken once.
pub fn team_from_env(env: &Environment) -> Vec<QuickModel> {
    let mut used: Vec<&str> = Vec::new();
    let mut models = Vec::new();
    for kind in backend_types() {
        let Some((key, model)) = found(kind, env) else { continue };
        if used.contains(&key) {
            continue;
        }
        used.push(key);
        models.push(QuickModel {
            model: model.to_owned(),
            base_url: None,
            kind: Some(kind.name.to_owned()),
        });
    }
    models
}

fn found<'k>(kind: &'k BackendType, env: &Environment) -> Option<(&'k str, &'k str)> {
    let model = kind.default_model.filter(|_| kind.needs_key() && kind.is_callable())?;
    let is_set = |name: &&&str| env.vars.get(**name).is_some_and(|value| !value.trim().is_empty());
    kind.key_env.iter().find(is_set).map(|key| (*key, model))
}

fn backend(quick: &QuickModel) -> Node {
    let (kind, model) = match (&quick.kind, &quick.base_url) {
        (Some(kind), _) => (Some(kind.as_str()), quick.model.as_str()),
        // At a given address `openai/gpt-5` is the server's own name of a model.
        (None, Some(_)) => (None, quick.model.as_str()),
        (None, None) => match quick.model.split_once('/') {
            Some((kind, model)) if backend_type(kind).is_some() => (Some(kind), model),
            Some(_) | None => (None, quick.model.as_str()),
        },
    };
    let mut entries = Vec::new();
    if !model.is_empty() {
        entries.push(("model", Node::text(model)));
    }
    entries.extend(kind.map(|kind| ("type", Node::text(kind))));
    entries.extend(quick.base_url.as_deref().map(|url| ("base_url", Node::text(url))));
    Node::entries(entries)
}
