//! What a model takes, as far as its name tells.
//!
//! Providers refuse a whole request for one field a model does not know, so wishes are
//! fitted before they are sent. A name that is not known here gets what the user wrote
//! and nothing of ours.

/// How much a model is to think, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

use Effort::{High, Low, Max, Medium, Minimal, XHigh};

impl Effort {
    pub(crate) fn of(word: &str) -> Option<Effort> {
        Some(match word {
            "none" => Effort::None,
            "minimal" => Minimal,
            "low" => Low,
            "medium" => Medium,
            "high" => High,
            "xhigh" => XHigh,
            "max" => Max,
            _ => return None,
        })
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Effort::None => "none",
            Minimal => "minimal",
            Low => "low",
            Medium => "medium",
            High => "high",
            XHigh => "xhigh",
            Max => "max",
        }
    }
}

/// Efforts a model can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Efforts {
    /// A request that names one is refused, or means something else by it.
    Refused,
    /// Nothing is known: the user's word goes as it is.
    AsWritten,
    Of(&'static [Effort]),
}

impl Efforts {
    /// Returns the word to send for a wish, if any.
    pub(crate) fn fit(self, wish: &str) -> Option<String> {
        let offered = match self {
            Efforts::Refused => return None,
            Efforts::AsWritten => return Some(wish.to_owned()),
            Efforts::Of(offered) => offered,
        };
        // A word of a ladder to come is the provider's to judge.
        let Some(wish) = Effort::of(wish) else { return Some(wish.to_owned()) };
        if offered.contains(&wish) {
            return Some(wish.word().to_owned());
        }
        // Who wants some thought gets some: `minimal` does not become `none`.
        let thinking = || offered.iter().copied().filter(|&effort| effort != Effort::None);
        let nearest =
            thinking().filter(|&effort| effort <= wish).max().or_else(|| thinking().min());
        nearest.map(|effort| effort.word().to_owned())
    }
}

/// What a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) efforts: Efforts,
    /// Its reasoning can be had encrypted, and is worth having: it is sent back.
    pub(crate) encrypts: bool,
    /// It tells what it thought when asked for a summary.
    pub(crate) summarizes: bool,
    /// It refuses `temperature` and `top_p` while it thinks.
    pub(crate) fixes_sampling: bool,
}

const PLAIN: Model =
    Model { efforts: Efforts::Refused, encrypts: false, summarizes: false, fixes_sampling: false };

impl Model {
    pub(crate) fn of(name: &str) -> Model {
        let name = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
        if name.starts_with("grok") { grok(&name) } else { openai(&name) }
    }
}

fn openai(name: &str) -> Model {
    let thinks = |efforts| Model {
        efforts: Efforts::Of(efforts),
        encrypts: true,
        summarizes: true,
        fixes_sampling: true,
    };
    if name.starts_with("gpt-oss") {
        return Model { efforts: Efforts::Of(&[Low, Medium, High]), ..PLAIN };
    }
    let is_o_series =
        name.strip_prefix('o').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if is_o_series || name.starts_with("codex-mini") {
        return thinks(&[Low, Medium, High]);
    }
    if name.starts_with("chatgpt-") {
        return PLAIN;
    }
    match version(name, "gpt-") {
        Some((major, _)) if major < 5 => PLAIN,
        Some(_) if name.contains("-chat") => PLAIN,
        Some(version) if name.contains("-pro") => match version {
            (5, 0 | 1) => thinks(&[High]),
            _ => thinks(&[Medium, High, XHigh]),
        },
        Some(version) if name.contains("-codex") => match version {
            (5, 0) => thinks(&[Low, Medium, High]),
            (5, 1) if !name.contains("-max") => thinks(&[Low, Medium, High]),
            _ => thinks(&[Low, Medium, High, XHigh]),
        },
        Some((5, 0)) => thinks(&[Minimal, Low, Medium, High]),
        Some((5, 1)) => thinks(&[Effort::None, Low, Medium, High]),
        Some((5, 2..=5)) => thinks(&[Effort::None, Low, Medium, High, XHigh]),
        Some(_) => thinks(&[Effort::None, Low, Medium, High, XHigh, Max]),
        None => Model { efforts: Efforts::AsWritten, ..PLAIN },
    }
}

/// Most Grok models refuse an effort though they think, and one takes it for the number
/// of agents to run; so only those named here are asked for one.
fn grok(name: &str) -> Model {
    let efforts = match version(name, "grok-") {
        Some((3, _)) if name.contains("-mini") => Efforts::Of(&[Low, High]),
        Some((4, 3)) => Efforts::Of(&[Effort::None, Low, Medium, High]),
        Some((4, 5..=9)) => Efforts::Of(&[Low, Medium, High, XHigh]),
        Some(_) | None => Efforts::Refused,
    };
    let is_plain = name.contains("non-reasoning");
    let encrypts = version(name, "grok-").is_some_and(|(major, _)| major >= 4) && !is_plain;
    Model { efforts, encrypts, ..PLAIN }
}

/// Reads `5.4` out of `gpt-5.4-mini`.
fn version(name: &str, prefix: &str) -> Option<(u32, u32)> {
    let rest = name.strip_prefix(prefix)?;
    let word = rest.split('-').next()?;
    // `4o` is a 4.
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let (major, minor) = digits.split_once('.').unwrap_or((digits, "0"));
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[track_caller]
    fn fits(model: &str, wish: &str, sent: Option<&str>) {
        assert_eq!(Model::of(model).efforts.fit(wish).as_deref(), sent, "{model}: {wish}");
    }

    #[test]
    fn an_effort_is_fitted_to_its_model() {
        fits("gpt-5", "minimal", Some("minimal"));
        fits("gpt-5", "none", Some("minimal"));
        fits("gpt-5-mini", "xhigh", Some("high"));
        fits("gpt-5.1", "minimal", Some("low"));
        fits("gpt-5.1", "none", Some("none"));
        fits("gpt-5.4", "max", Some("xhigh"));
        fits("gpt-5.6", "max", Some("max"));
        fits("gpt-6-sol", "max", Some("max"));
        fits("gpt-5-pro", "low", Some("high"));
        fits("gpt-5.2-pro", "low", Some("medium"));
        fits("gpt-5.1-codex", "xhigh", Some("high"));
        fits("gpt-5.1-codex-max", "max", Some("xhigh"));
        fits("o3", "minimal", Some("low"));
        fits("openai/o4-mini", "high", Some("high"));
        fits("gpt-oss-120b", "max", Some("high"));
        fits("gpt-5", "utmost", Some("utmost"));
        for plain in ["gpt-4o", "gpt-4.1-mini", "gpt-5-chat-latest", "chatgpt-4o-latest"] {
            fits(plain, "high", None);
        }
        fits("my-deployment", "high", Some("high"));
    }

    #[test]
    fn only_grok_models_that_take_an_effort_get_one() {
        fits("grok-3-mini", "max", Some("high"));
        fits("grok-4.3", "xhigh", Some("high"));
        fits("grok-4.6", "xhigh", Some("xhigh"));
        for refuses in [
            "grok-3",
            "grok-4",
            "grok-4-0709",
            "grok-4-fast-reasoning",
            "grok-4-1-fast-reasoning",
            "grok-4.20-0309-reasoning",
            "grok-4.20-0309-non-reasoning",
            "grok-4.20-multi-agent",
            "grok-code-fast-1",
            "grok-latest",
        ] {
            fits(refuses, "high", None);
        }
    }

    #[test]
    fn reasoning_is_asked_for_where_it_can_be_had() {
        let encrypts = |name: &str| Model::of(name).encrypts;
        for name in ["gpt-5", "gpt-5.4-mini", "o4-mini", "grok-4", "grok-4.20-0309-reasoning"] {
            assert!(encrypts(name), "{name}");
        }
        for name in
            ["gpt-4o", "gpt-5-chat-latest", "gpt-oss-20b", "grok-3", "llama", "", "o", "gpt-"]
        {
            assert!(!encrypts(name), "{name}");
        }
        assert!(!encrypts("grok-4.20-0309-non-reasoning"));
        assert!(!Model::of("grok-4").fixes_sampling && Model::of("o3").fixes_sampling);
    }
}
