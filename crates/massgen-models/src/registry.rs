//! A backend's name → something that can be called.

use std::sync::Arc;

use massgen_protocol::{ApiKey, BackendSpec, BackendType, Status, WireFormat, backend_type};

use crate::acp::{self, BridgeCommand};
use crate::driver::Driver;
use crate::failure::Failures;
use crate::provider::{self, EndpointError};
use crate::scripted::{Script, ScriptError, Scripted};

/// Why a backend cannot be called. Nothing has been sent by then.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("unknown backend type `{kind}`")]
    UnknownType { kind: String },
    #[error("backend type `{kind}` is not in this build; {instead}")]
    NotInBuild { kind: String, instead: &'static str },
    #[error("no model is named for backend type `{kind}`")]
    NoModel { kind: String },
    #[error("`{base_url}` cannot be called: {reason}")]
    Address { base_url: String, reason: &'static str },
    #[error("the API key of backend type `{kind}` holds characters that no key has")]
    BrokenKey { kind: String },
    #[error("no API key for backend type `{kind}`; set `{variable}`")]
    NoKey { kind: String, variable: String },
    #[error("backend type `{kind}` needs the program to start; name it with `command`")]
    NoProgram { kind: String },
    #[error("`{name}` of backend type `{kind}` cannot be `{value}`; it is one of {choices}")]
    Param { kind: String, name: &'static str, value: String, choices: &'static str },
    #[error("failed to find this program, which agents reach the team's tools by")]
    Bridge { source: std::io::Error },
    #[error("failed to read the script `{path}`")]
    ReadScript { path: String, source: std::io::Error },
    #[error("script `{path}` cannot be played")]
    Script { path: String, source: ScriptError },
}

/// Makes a driver for this backend. Sends nothing, and is cheap: connections
/// and certificates come with the first call.
///
/// # Errors
///
/// If the type is unknown or not in this build, or the address, key or script
/// cannot be used.
pub fn connect(spec: &BackendSpec) -> Result<Arc<Driver>, ConnectError> {
    Connector::default().connect(spec)
}

/// Makes drivers, with what a program can give them beside the spec.
#[derive(Clone, Debug, Default)]
pub struct Connector {
    /// How agents that are programs reach the team's tools; by this program's own
    /// subcommand where it is absent.
    pub bridge: Option<BridgeCommand>,
}

impl Connector {
    /// Makes a driver; see [`connect`].
    ///
    /// # Errors
    ///
    /// As [`connect`].
    pub fn connect(&self, spec: &BackendSpec) -> Result<Arc<Driver>, ConnectError> {
        let first = self.driver_of(spec)?;
        let others = spec.fallbacks.iter().map(|spec| self.driver_of(spec));
        Ok(Arc::new(first.or_else(others.collect::<Result<Vec<_>, _>>()?)))
    }

    fn driver_of(&self, spec: &BackendSpec) -> Result<Driver, ConnectError> {
        driver_of(spec, self)
    }

    fn bridge(&self) -> Result<BridgeCommand, ConnectError> {
        match &self.bridge {
            Some(bridge) => Ok(bridge.clone()),
            None => {
                BridgeCommand::of_this_program().map_err(|source| ConnectError::Bridge { source })
            }
        }
    }
}

fn driver_of(spec: &BackendSpec, connector: &Connector) -> Result<Driver, ConnectError> {
    let kind = || spec.kind.clone();
    let backend_type =
        backend_type(&spec.kind).ok_or_else(|| ConnectError::UnknownType { kind: kind() })?;
    if let Status::NotInBuild { instead } = backend_type.status {
        return Err(ConnectError::NotInBuild { kind: kind(), instead });
    }
    let driver = |backend| Driver::of(backend, spec);
    match backend_type.format {
        WireFormat::Scripted => {
            let path = spec.base_url.clone();
            let text = std::fs::read_to_string(&path)
                .map_err(|source| ConnectError::ReadScript { path: path.clone(), source })?;
            let scripted = Script::parse(&text)
                .and_then(|script| Scripted::new(script, &Default::default()))
                .and_then(|scripted| scripted.agent(&spec.model))
                .map_err(|source| ConnectError::Script { path, source })?;
            Ok(driver(scripted))
        }
        WireFormat::Acp => acp::connect(spec, backend_type, connector.bridge()?).map(driver),
        WireFormat::OpenAiChat
        | WireFormat::OpenAiResponses
        | WireFormat::AnthropicMessages
        | WireFormat::GeminiGenerate
        | WireFormat::OllamaChat
        | WireFormat::A2a
        | WireFormat::AgentCli
        | WireFormat::PythonFramework => {
            let spec = checked(spec, backend_type)?;
            let instead = "its wire format is not spoken yet";
            let connected = provider::connect(&spec, backend_type)
                .ok_or_else(|| ConnectError::NotInBuild { kind: kind(), instead })?;
            connected.map(driver).map_err(|error| match error {
                EndpointError::NoUrl => ConnectError::Address {
                    base_url: Failures::default().clean(&spec.base_url),
                    reason: "it is not an http:// or https:// address",
                },
                EndpointError::Key => ConnectError::BrokenKey { kind: kind() },
            })
        }
    }
}

/// Returns the spec with its address filled in, if it has what every request needs.
fn checked(spec: &BackendSpec, backend_type: &BackendType) -> Result<BackendSpec, ConnectError> {
    if spec.model.trim().is_empty() {
        return Err(ConnectError::NoModel { kind: spec.kind.clone() });
    }
    if let ApiKey::Env { name, value } = &spec.api_key
        && value.is_empty()
    {
        return Err(ConnectError::NoKey { kind: spec.kind.clone(), variable: name.clone() });
    }
    let base_url = match spec.base_url.trim() {
        "" => backend_type.base_url.unwrap_or_default(),
        given => given,
    };
    Ok(BackendSpec { base_url: base_url.to_owned(), ..spec.clone() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use massgen_protocol::{Secret, backend_types};

    use super::*;

    fn spec(kind: &str, base_url: &str) -> BackendSpec {
        BackendSpec::new(kind, "m", base_url)
    }

    #[test]
    fn every_type_is_callable_or_says_what_is_instead() {
        for backend_type in backend_types() {
            let url = backend_type.base_url.unwrap_or("http://localhost:1/v1");
            let connected =
                connect(&spec(backend_type.name, url)).map(|driver| driver.name().to_owned());
            match (backend_type.is_callable(), backend_type.format) {
                (true, WireFormat::Acp) if backend_type.name == "acp" => {
                    assert!(matches!(connected, Err(ConnectError::NoProgram { .. })));
                }
                (true, WireFormat::Scripted) => {
                    assert!(matches!(connected, Err(ConnectError::ReadScript { .. })));
                }
                (true, _) => assert_eq!(connected.unwrap(), format!("{} m", backend_type.name)),
                (false, _) => assert!(matches!(connected, Err(ConnectError::NotInBuild { .. }))),
            }
        }
    }

    #[test]
    fn what_cannot_be_called_is_said_with_its_remedy() {
        let check = |spec: &BackendSpec, expected: &str| {
            assert_eq!(connect(spec).err().unwrap().to_string(), expected);
        };
        check(&spec("opanai", ""), "unknown backend type `opanai`");
        check(
            &spec("vllm", "http//me:pw@h"),
            "`http//me:pw@h` cannot be called: it is not an http:// or https:// address",
        );
        check(
            &spec("vllm", "ftp://me:pw@h"),
            "`ftp://h` cannot be called: it is not an http:// or https:// address",
        );
        let no_model = BackendSpec { model: " ".to_owned(), ..spec("vllm", "") };
        check(&no_model, "no model is named for backend type `vllm`");
        let api_key = ApiKey::Env { name: "GROQ_API_KEY".to_owned(), value: Secret::default() };
        let no_key = BackendSpec { api_key, ..spec("groq", "") };
        check(&no_key, "no API key for backend type `groq`; set `GROQ_API_KEY`");
        let api_key = ApiKey::Given { value: Secret::new("a\u{7}b") };
        let broken = BackendSpec { api_key, ..spec("groq", "") };
        check(&broken, "the API key of backend type `groq` holds characters that no key has");
    }
}
