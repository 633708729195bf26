//! What one model takes and another refuses.
//!
//! Read from the model's name, as the API tells it nowhere: family and version say
//! how thinking is asked for, whether sampling can be set, and how long a reply may
//! be where the catalogue does not know. A model that is no Claude (others speak this
//! format too) is given what most of them take, and is left to say what it does not.

use massgen_protocol::model_facts;

/// How a model is asked to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thinking {
    /// It cannot.
    Never,
    /// With a budget of tokens that is part of the output bound.
    Budget,
    /// It decides by itself, guided by an effort.
    Adaptive,
    /// The same, and it cannot be switched off.
    AdaptiveAlways,
}

/// The rules of one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) is_claude: bool,
    pub(crate) thinking: Thinking,
    /// In ascending order; empty where there is none to be set.
    pub(crate) efforts: &'static [&'static str],
    /// `temperature`, `top_p` and `top_k` are a bad request, whatever their value.
    pub(crate) refuses_sampling: bool,
    /// Its thoughts come back empty unless they are asked for.
    pub(crate) hides_thinking: bool,
    /// Thinks between tool calls only if a beta is asked for.
    pub(crate) interleaves_by_beta: bool,
    /// Of one reply.
    pub(crate) max_output_tokens: u64,
}

/// All efforts there are, in ascending order; a config may use any.
const EFFORTS: [&str; 6] = ["minimal", "low", "medium", "high", "xhigh", "max"];

impl Rules {
    /// Returns the rules of a model that is called through a backend of this type.
    pub(crate) fn of(kind: &str, model: &str) -> Rules {
        let rules = Rules::by_name(model);
        let known = model_facts(kind, model).and_then(|facts| facts.output_max);
        Rules { max_output_tokens: known.unwrap_or(rules.max_output_tokens), ..rules }
    }

    fn by_name(model: &str) -> Rules {
        let Some((family, version)) = family_and_version(model) else {
            return Rules {
                is_claude: false,
                thinking: Thinking::Budget,
                efforts: &[],
                refuses_sampling: false,
                hides_thinking: false,
                interleaves_by_beta: false,
                max_output_tokens: u64::MAX,
            };
        };
        let thinking = match (family, version) {
            (Family::Mythos, _) => Thinking::AdaptiveAlways,
            (Family::Opus, (5, 5..) | (6.., _)) => Thinking::AdaptiveAlways,
            (_, (0..=2, _) | (3, 0..=6)) => Thinking::Never,
            (_, (3, _) | (4, 0..=5)) => Thinking::Budget,
            (_, (4.., _)) => Thinking::Adaptive,
        };
        let is_adaptive = matches!(thinking, Thinking::Adaptive | Thinking::AdaptiveAlways);
        let is_4_6 = version == (4, 6);
        Rules {
            is_claude: true,
            thinking,
            efforts: match is_adaptive {
                true if is_4_6 => &["low", "medium", "high", "max"],
                true => &["low", "medium", "high", "xhigh", "max"],
                false => &[],
            },
            refuses_sampling: is_adaptive && !is_4_6,
            hides_thinking: is_adaptive && !is_4_6,
            interleaves_by_beta: version.0 == 4 && thinking == Thinking::Budget,
            max_output_tokens: match (family, version) {
                (_, (0..=2, _) | (3, 0..=4)) => 4_096,
                (_, (3, 5 | 6)) => 8_192,
                (Family::Opus, (4, 0..=4)) => 32_000,
                (_, (3, _) | (4, 0..=5)) => 64_000,
                (_, (4.., _)) => 128_000,
            },
        }
    }

    /// Returns the wished effort, or the next lower one this model has (its lowest if
    /// there is none): a wish that cannot be met costs less, never more.
    pub(crate) fn effort(&self, wish: &str) -> Option<&'static str> {
        let rank = |effort: &str| EFFORTS.iter().position(|known| *known == effort);
        let wish = rank(wish)?;
        let fits = |effort: &&&str| rank(effort).is_some_and(|rank| rank <= wish);
        self.efforts.iter().rev().find(fits).or(self.efforts.first()).copied()
    }
}

/// Returns the budget of thought an effort stands for, where a model takes a number.
pub(crate) fn budget_of(effort: &str) -> Option<u64> {
    Some(match effort {
        "minimal" => 1_024,
        "low" => 2_048,
        "medium" => 8_192,
        "high" => 16_384,
        "xhigh" => 24_576,
        "max" => 32_768,
        _ => return None,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// Opus 5.5 and later always think, other families may not.
    Opus,
    /// The class above, which always thinks: Mythos and Fable.
    Mythos,
    Other,
}

/// Of a Claude whose name has no number: the newest, as only new names lack one.
const NEWEST: (u32, u32) = (5, 0);

fn family_and_version(model: &str) -> Option<(Family, (u32, u32))> {
    let model = model.to_ascii_lowercase();
    let (_, name) = model.rsplit_once("claude-")?;
    let words = || name.split(|c: char| !c.is_ascii_alphanumeric());
    let family = match () {
        () if words().any(|word| word == "opus") => Family::Opus,
        () if words().any(|word| word == "mythos" || word == "fable") => Family::Mythos,
        () => Family::Other,
    };
    // A date has eight digits, a version one or two.
    let number =
        |word: &str| (1..=2).contains(&word.len()).then(|| word.parse::<u32>().ok()).flatten();
    let mut words = words().skip_while(|word| number(word).is_none());
    let Some(major) = words.next().and_then(number) else { return Some((family, NEWEST)) };
    Some((family, (major, words.next().and_then(number).unwrap_or(0))))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_how_a_model_thinks_and_how_long_it_may_speak() {
        use Thinking::*;
        let check = |model: &str, thinking: Thinking, max_output_tokens: u64| {
            let rules = Rules::by_name(model);
            assert_eq!((rules.thinking, rules.max_output_tokens), (thinking, max_output_tokens));
        };
        check("claude-3-opus-20240229", Never, 4_096);
        check("claude-3-5-sonnet-latest", Never, 8_192);
        check("claude-3-7-sonnet-20250219", Budget, 64_000);
        check("claude-opus-4-20250514", Budget, 32_000);
        check("claude-opus-4-1", Budget, 32_000);
        check("claude-sonnet-4-5-20250929", Budget, 64_000);
        check("claude-haiku-4-5", Budget, 64_000);
        check("anthropic/claude-opus-4.5", Budget, 64_000);
        check("claude-opus-4-6", Adaptive, 128_000);
        check("us.anthropic.claude-sonnet-4-6-v1:0", Adaptive, 128_000);
        check("claude-opus-4-8", Adaptive, 128_000);
        check("claude-opus-5", Adaptive, 128_000);
        check("claude-opus-5-5", AdaptiveAlways, 128_000);
        check("claude-sonnet-5", Adaptive, 128_000);
        check("CLAUDE-FABLE-5-1", AdaptiveAlways, 128_000);
        check("claude-mythos-preview", AdaptiveAlways, 128_000);
        check("claude-latest", Adaptive, 128_000);
        check("glm-4.6", Budget, u64::MAX);
        assert!(!Rules::by_name("glm-4.6").is_claude);
    }

    #[test]
    fn the_catalogue_knows_better_how_long_a_reply_may_be() {
        let most = |model: &str| Rules::of("claude", model).max_output_tokens;
        assert_eq!(most("claude-opus-4-0"), 32_000);
        assert_eq!(most("claude-3-5-sonnet-latest"), 8_192);
        // Nothing is known of a model under the name of another type.
        assert_eq!(Rules::of("vllm", "claude-opus-4-6"), Rules::by_name("claude-opus-4-6"));
    }

    #[test]
    fn sampling_is_refused_from_4_7_on() {
        for model in ["claude-opus-4-7", "claude-sonnet-5", "claude-fable-5"] {
            assert!(Rules::by_name(model).refuses_sampling, "{model}");
        }
        for model in ["claude-opus-4-6", "claude-sonnet-4-5", "claude-3-5-haiku", "glm-4.6"] {
            assert!(!Rules::by_name(model).refuses_sampling, "{model}");
        }
    }

    #[test]
    fn an_effort_is_fitted_downwards() {
        let check = |model: &str, wish: &str, expected: Option<&str>| {
            assert_eq!(Rules::by_name(model).effort(wish), expected, "{model} {wish}");
        };
        check("claude-opus-4-6", "minimal", Some("low"));
        check("claude-opus-4-6", "xhigh", Some("high"));
        check("claude-opus-4-6", "max", Some("max"));
        check("claude-opus-4-7", "xhigh", Some("xhigh"));
        check("claude-opus-4-7", "much", None);
        check("claude-opus-4-5", "high", None);
        assert_eq!(budget_of("much"), None);
        let budgets: Vec<u64> = EFFORTS.iter().map(|effort| budget_of(effort).unwrap()).collect();
        assert!(budgets.is_sorted(), "{budgets:?}");
    }
}
