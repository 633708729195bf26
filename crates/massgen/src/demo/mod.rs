//! The demo: four scripted agents on the real engine, and a real calculation.
//!
//! It plays a case where a team got right what each of its members had got
//! wrong. What the agents say stands in `quasar.yaml`; the figure that settles
//! the question is computed here, every time.

pub mod cosmology;

use std::collections::BTreeMap;
use std::sync::Arc;

use massgen_models::{ConnectError, Driver, Script, Scripted};
use massgen_protocol::{AgentSpec, BackendSpec, Policy, RunSpec};

use cosmology::{Cosmology, LYMAN_ALPHA_NM, redshift};

const SCRIPT: &str = include_str!("quasar.yaml");

/// Stands where other scripts have their path, so that a demo can be resumed.
const STREAMED: &str = "demo:quasar";
const FAST: &str = "demo:quasar-fast";

/// How many times faster `--fast` is. Not infinitely: who speaks first stays the same.
const HASTE: u64 = 20;

const QUESTION: &str = "A quasar's spectrum peaks at 790 nm. Assume a flat Lambda-CDM universe with \
                        H0 = 70 km/s/Mpc, Omega_m = 0.3 and Omega_Lambda = 0.7. What is its \
                        comoving distance? A) 8 Gpc  B) 7 Gpc  C) 6 Gpc  D) 9 Gpc";

const OBSERVED_NM: f64 = 790.0;

const COSMOLOGY: Cosmology = Cosmology { hubble: 70.0, matter: 0.3, dark_energy: 0.7 };

/// The roster, in order.
const AGENTS: [&str; 4] = ["claude", "gpt-5", "gemini", "grok"];

/// How fast the demo is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    Streamed,
    Fast,
}

/// Returns the demo as a run.
pub fn spec(pace: Pace) -> RunSpec {
    let script = match pace {
        Pace::Streamed => STREAMED,
        Pace::Fast => FAST,
    };
    let agent = |name: &str| {
        let backend = BackendSpec { tries_max: 1, ..BackendSpec::new("scripted", name, script) };
        AgentSpec::new(name, backend)
    };
    // All first drafts are on the table before anybody judges them.
    let policy = Policy { defer_voting: true, ..Policy::default() };
    RunSpec::new(QUESTION, AGENTS.into_iter().map(agent).collect(), policy)
}

/// Reaches an agent's model: the demo's script, or whatever its backend names.
///
/// # Errors
/// As [`massgen_models::connect`].
pub fn connect(agent: &AgentSpec) -> Result<Arc<Driver>, ConnectError> {
    let backend = &agent.backend;
    let pace = match backend.base_url.as_str() {
        STREAMED => Pace::Streamed,
        FAST => Pace::Fast,
        _ => return massgen_models::connect(backend),
    };
    let model = Script::parse(&script(pace))
        .and_then(|script| Scripted::new(script, &values()))
        .and_then(|scripted| scripted.agent(&backend.model))
        .map_err(|source| ConnectError::Script { path: backend.base_url.clone(), source })?;
    Ok(Arc::new(Driver::new(model, backend.timeouts, backend.tries_max)))
}

/// Carries the calculation out; the agents' texts take its figures from here.
fn values() -> BTreeMap<String, String> {
    let z = redshift(OBSERVED_NM, LYMAN_ALPHA_NM);
    let figures = [
        ("redshift", format!("{z:.3}")),
        ("integral", format!("{:.4}", COSMOLOGY.comoving_integral(z))),
        ("hubble_distance", format!("{:.4}", COSMOLOGY.hubble_distance_gpc())),
        ("distance", format!("{:.2}", COSMOLOGY.comoving_distance_gpc(z))),
    ];
    figures.into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect()
}

/// Returns the script with its pauses at this pace.
fn script(pace: Pace) -> String {
    if pace == Pace::Streamed {
        return SCRIPT.to_owned();
    }
    let mut script = String::with_capacity(SCRIPT.len());
    for line in SCRIPT.lines() {
        match line.split_once("_ms: ").map(|(key, ms)| (key, ms.parse::<u64>())) {
            Some((key, Ok(ms))) => script.push_str(&format!("{key}_ms: {}", ms / HASTE)),
            Some((_, Err(_))) | None => script.push_str(line),
        }
        script.push('\n');
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_agent_has_its_part_at_every_pace() {
        for pace in [Pace::Streamed, Pace::Fast] {
            for agent in &spec(pace).agents {
                if let Err(error) = connect(agent) {
                    panic!("{}: {error:?}", agent.id);
                }
            }
        }
    }

    #[test]
    fn haste_changes_pauses_and_nothing_else() {
        let fast = script(Pace::Fast);
        assert!(fast.contains("delay_ms: 450\n"), "9,000 ms");
        assert!(!fast.contains("9000"));
        let words = |script: &str| -> Vec<String> {
            script.lines().filter(|line| !line.contains("_ms:")).map(str::to_owned).collect()
        };
        assert_eq!(words(&fast), words(SCRIPT));
    }

    #[test]
    fn what_gemini_says_of_its_error_is_true() {
        // «6.4 Gpc is already reached at z = 3»
        assert!((COSMOLOGY.comoving_distance_gpc(3.0) - 6.4).abs() < 0.1);
    }
}
