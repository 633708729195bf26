//! What a Gemini model takes, told by its name.

use massgen_protocol::Reasoning;
use serde_json::{Map, Value, json};

/// A model, as far as requests to it differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Model {
    generation: Generation,
    minor: u32,
    class: Class,
    /// Makes pictures or speech; a wish to think is refused by most of these.
    is_media: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Generation {
    /// 2.0 and before, and Gemma: no thinking of their own.
    Early,
    /// Thinks within a budget of tokens.
    TwoFive,
    /// Thinks by levels, and signs what it thought.
    Three,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Pro,
    Flash,
    FlashLite,
}

/// Flash models of 3.8 and later are not documented to take the lowest level; `low` every
/// model takes.
const MINIMAL_UNTIL: u32 = 8;
/// Budgets of thought, by the effort they stand for, as in Google's own compatibility layer.
const BUDGET_LOW: u64 = 1_024;
const BUDGET_MEDIUM: u64 = 8_192;
const BUDGET_HIGH: u64 = 24_576;

impl Model {
    pub(super) fn of(name: &str) -> Model {
        let name = name.to_ascii_lowercase();
        let name = name.rsplit('/').next().unwrap_or_default();
        let class = if name.contains("flash-lite") {
            Class::FlashLite
        } else if name.contains("flash") {
            Class::Flash
        } else {
            Class::Pro
        };
        let media = ["-image", "-tts", "-audio", "-live"];
        let is_media = media.iter().any(|word| name.contains(word));
        let Some(rest) = name.strip_prefix("gemini-") else {
            return Model { generation: Generation::Early, minor: 0, class, is_media };
        };
        let version = rest.split('-').next().unwrap_or_default();
        let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
        let minor = minor.parse().unwrap_or(0);
        let generation = match (major.parse::<u32>(), minor) {
            (Ok(0 | 1), _) => Generation::Early,
            (Ok(2), ..5) => Generation::Early,
            (Ok(2), _) => Generation::TwoFive,
            // A name without a version (`gemini-flash-latest`) stands for the newest.
            (Ok(_) | Err(_), _) => Generation::Three,
        };
        Model { generation, minor, class, is_media }
    }

    /// Returns whether a step's first function call is refused without its signature.
    pub(super) fn needs_signatures(self) -> bool {
        self.generation == Generation::Three
    }

    /// Returns whether one call may offer tools of ours beside Google's own.
    pub(super) fn mixes_tools(self) -> bool {
        self.generation == Generation::Three
    }

    /// Returns `thinkingConfig`, fitted to what the model takes; `None` to say nothing.
    pub(super) fn thinking(self, wish: &Reasoning) -> Option<Map<String, Value>> {
        let effort = wish.effort.as_deref();
        let has_wish = effort.is_some() || wish.budget_tokens.is_some();
        if self.is_media && !has_wish {
            return None;
        }
        let mut config = Map::new();
        match self.generation {
            Generation::Early => return None,
            Generation::TwoFive => {
                let budget = wish.budget_tokens.or_else(|| effort.and_then(budget_of));
                // The smallest model does not think unless told to, and then has no thoughts
                // to show, which it refuses to be asked for.
                if budget.is_none() && self.class == Class::FlashLite {
                    return None;
                }
                let budget = budget.map(|budget| self.fitted(budget));
                if budget != Some(0) {
                    config.insert("includeThoughts".to_owned(), json!(true));
                }
                if let Some(budget) = budget {
                    config.insert("thinkingBudget".to_owned(), json!(budget));
                }
            }
            Generation::Three => {
                config.insert("includeThoughts".to_owned(), json!(true));
                let effort = effort.or_else(|| wish.budget_tokens.map(effort_of));
                if let Some(level) = effort.and_then(|effort| self.level(effort)) {
                    config.insert("thinkingLevel".to_owned(), json!(level));
                }
            }
        }
        Some(config)
    }

    /// Returns the budget nearest to this one that a 2.5 model takes.
    fn fitted(self, budget: u64) -> u64 {
        match self.class {
            // It cannot be kept from thinking.
            Class::Pro => budget.clamp(128, 32_768),
            Class::Flash => budget.min(24_576),
            Class::FlashLite if budget == 0 => 0,
            Class::FlashLite => budget.clamp(512, 24_576),
        }
    }

    /// Returns the level of a 3.x model that comes nearest; `None` for a word we do not know.
    fn level(self, effort: &str) -> Option<&'static str> {
        Some(match effort {
            "none" | "minimal" if self.class != Class::Pro && self.minor < MINIMAL_UNTIL => {
                "minimal"
            }
            "none" | "minimal" | "low" => "low",
            // The first Pro of this generation knows two levels only.
            "medium" if self.class == Class::Pro && self.minor == 0 => "high",
            "medium" => "medium",
            "high" | "xhigh" | "max" => "high",
            _ => return None,
        })
    }
}

fn budget_of(effort: &str) -> Option<u64> {
    Some(match effort {
        "none" => 0,
        "minimal" | "low" => BUDGET_LOW,
        "medium" => BUDGET_MEDIUM,
        "high" => BUDGET_HIGH,
        "xhigh" | "max" => u64::MAX,
        _ => return None,
    })
}

fn effort_of(budget: u64) -> &'static str {
    if budget == 0 {
        "none"
    } else if budget <= BUDGET_LOW {
        "low"
    } else if budget <= BUDGET_MEDIUM {
        "medium"
    } else {
        "high"
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(model: &str, effort: Option<&str>, budget_tokens: Option<u64>, expected: Value) {
        let wish = Reasoning { effort: effort.map(str::to_owned), budget_tokens, summary: None };
        let config = Model::of(model).thinking(&wish).map_or(Value::Null, Value::Object);
        assert_eq!(config, expected, "{model}, {effort:?}, {budget_tokens:?}");
    }

    fn level(level: &str) -> Value {
        json!({"includeThoughts": true, "thinkingLevel": level})
    }

    fn budget(budget: u64) -> Value {
        json!({"includeThoughts": true, "thinkingBudget": budget})
    }

    #[test]
    fn thinking_is_asked_for_in_levels_on_3_and_later() {
        let flash = "gemini-3-flash-preview";
        check(flash, None, None, json!({"includeThoughts": true}));
        check(flash, Some("none"), None, level("minimal"));
        check(flash, Some("medium"), None, level("medium"));
        check(flash, Some("xhigh"), None, level("high"));
        check(flash, Some("a lot"), None, json!({"includeThoughts": true}));
        check(flash, None, Some(0), level("minimal"));
        check(flash, None, Some(2_000), level("medium"));
        check(flash, Some("low"), Some(20_000), level("low"));
        check("models/gemini-3-pro-preview", Some("none"), None, level("low"));
        check("gemini-3-pro-preview", Some("medium"), None, level("high"));
        check("gemini-3.1-pro-preview", Some("medium"), None, level("medium"));
        check("gemini-3.8-flash", Some("minimal"), None, level("low"));
        check("gemini-flash-latest", Some("minimal"), None, level("minimal"));
        check("gemini-4-pro", Some("high"), None, level("high"));
    }

    #[test]
    fn thinking_is_asked_for_in_tokens_on_2_5_and_not_at_all_before() {
        let off = json!({"thinkingBudget": 0});
        check("gemini-2.5-flash", None, None, json!({"includeThoughts": true}));
        check("gemini-2.5-flash", Some("none"), None, off.clone());
        check("gemini-2.5-flash", Some("medium"), None, budget(8_192));
        check("gemini-2.5-flash", Some("low"), Some(99_999), budget(24_576));
        check("gemini-2.5-pro", Some("none"), None, budget(128));
        check("gemini-2.5-pro", None, Some(0), budget(128));
        check("gemini-2.5-pro", Some("max"), None, budget(32_768));
        check("gemini-2.5-flash-lite", None, None, Value::Null);
        check("gemini-2.5-flash-lite", None, Some(3), budget(512));
        check("gemini-2.5-flash-lite", Some("none"), None, off);
        check("gemini-2.5-flash-image", None, None, Value::Null);
        check("gemini-2.0-flash", Some("high"), None, Value::Null);
        check("gemini-1.5-pro", Some("high"), None, Value::Null);
        check("gemma-3-27b-it", Some("high"), None, Value::Null);
        check("", Some("high"), None, Value::Null);
    }

    #[test]
    fn only_3_and_later_sign_and_mix() {
        for (name, is_three) in [
            ("gemini-3-flash-preview", true),
            ("gemini-3.1-pro-preview", true),
            ("gemini-pro-latest", true),
            ("gemini-2.5-pro", false),
            ("gemini-2.0-flash", false),
            ("gemma-3-27b-it", false),
        ] {
            let model = Model::of(name);
            assert_eq!((model.needs_signatures(), model.mixes_tools()), (is_three, is_three));
        }
    }
}
