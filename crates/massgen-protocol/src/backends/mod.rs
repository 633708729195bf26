//! Types of backend by name: where each is reached, with which key, in which format.
//!
//! Data only, in one table, because the config (which checks what a user
//! wrote), the models (which make the calls) and the reference page must agree
//! on it. A type that exists in MassGen but cannot be called by this build is in
//! the table too, so that it can be told apart from a misspelling.

mod capabilities;
mod infer;
mod models;
mod table;

pub use capabilities::Capabilities;
pub use infer::{backend_type_of_url, infer_backend_type};
pub use models::{ModelFacts, model_facts, models_of, models_source};

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackendType {
    /// The `type` of a config.
    pub name: &'static str,
    /// Name for people.
    pub title: &'static str,
    pub format: WireFormat,
    /// Root of the API without a trailing slash; `None` if the config must give one.
    pub base_url: Option<&'static str>,
    /// Environment variables that may hold the key, the first that is set wins.
    /// On a `local` type a key is optional.
    pub key_env: &'static [&'static str],
    /// Model taken where the config names none; `None` if it must name one.
    pub default_model: Option<&'static str>,
    /// Runs on the user's own machine by default and asks for no key.
    pub local: bool,
    pub capabilities: Capabilities,
    /// The section of the catalogue of models that tells what its models can do
    /// and cost. `None` where a model's name tells nothing: servers of one's own
    /// run a model with the limits they were started with.
    pub catalogue: Option<&'static str>,
    pub status: Status,
}

/// How a backend is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireFormat {
    OpenAiChat,
    OpenAiResponses,
    AnthropicMessages,
    GeminiGenerate,
    /// Ollama's own API, in which the context size can be set.
    OllamaChat,
    /// An agent of another maker, run as a child process that speaks the Agent Client Protocol.
    Acp,
    /// An agent of another maker behind HTTP that speaks Agent2Agent.
    A2a,
    /// A command line program of another maker that speaks no protocol of ours.
    AgentCli,
    /// A framework that exists in Python only.
    PythonFramework,
    /// No network: replies come from a script file.
    Scripted,
}

impl WireFormat {
    /// Returns its name for people.
    pub fn title(self) -> &'static str {
        match self {
            WireFormat::OpenAiChat => "OpenAI Chat Completions",
            WireFormat::OpenAiResponses => "OpenAI Responses",
            WireFormat::AnthropicMessages => "Anthropic Messages",
            WireFormat::GeminiGenerate => "Gemini generateContent",
            WireFormat::OllamaChat => "Ollama chat",
            WireFormat::Acp => "Agent Client Protocol",
            WireFormat::A2a => "Agent2Agent",
            WireFormat::AgentCli => "a program's own output",
            WireFormat::PythonFramework => "a Python framework",
            WireFormat::Scripted => "a script file",
        }
    }
}

/// Whether this build can call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ready,
    /// It can be called, with a difference its user should know.
    Interim {
        note: &'static str,
    },
    /// It is known and not in this build; `instead` says what works today.
    NotInBuild {
        instead: &'static str,
    },
}

impl BackendType {
    pub fn is_callable(&self) -> bool {
        match self.status {
            Status::Ready | Status::Interim { .. } => true,
            Status::NotInBuild { .. } => false,
        }
    }

    /// Returns whether a call is refused without a key.
    pub fn needs_key(&self) -> bool {
        !self.local && !self.key_env.is_empty()
    }
}

/// Returns every type, callable or not, in the order they are shown to people.
pub fn backend_types() -> &'static [BackendType] {
    table::TYPES
}

/// Returns the type of this exact name.
pub fn backend_type(name: &str) -> Option<&'static BackendType> {
    table::TYPES.iter().find(|backend| backend.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_reference_resolves() {
        let types = backend_types();
        for (n, backend) in types.iter().enumerate() {
            assert!(
                types[..n].iter().all(|other| other.name != backend.name),
                "`{}` twice",
                backend.name
            );
            if let Some(url) = backend.base_url {
                assert!(!url.ends_with('/') && url.contains("://"), "{url}");
            }
            if let Some(section) = backend.catalogue {
                assert!(models_of(backend.name).next().is_some(), "no model of {section}");
            }
        }
    }

    #[test]
    fn servers_of_ones_own_have_no_catalogue() {
        // An agent that is a program runs here; its model does not.
        let serves = |kind: &&BackendType| kind.local && kind.format != WireFormat::Acp;
        for backend in backend_types().iter().filter(serves) {
            assert_eq!(backend.catalogue, None, "{}", backend.name);
        }
    }
}
