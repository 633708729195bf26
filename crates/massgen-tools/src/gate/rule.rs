//! Rules: first what is denied, then what is allowed, then what is asked about, then by risk.

use std::borrow::Cow;
use std::sync::Arc;

use massgen_protocol::{PermissionRule, PermissionSpec, RuleAction, RuleFault};

use super::facts::{Facts, Location, Subject};
use super::glob::fits;
use super::risk::{self, Risk};
use super::shell::{Part, Script};

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// `by`: the rule that allows it; none where nothing speaks about it.
    Allow {
        by: Option<String>,
    },
    Deny {
        by: String,
        reason: String,
    },
    /// `what` is shown as the thing to decide about.
    Ask {
        what: String,
        reason: String,
    },
}

/// Why a permission cannot be held.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    #[error("the rule `{rule}` cannot be read: {fault}")]
    Rule { rule: String, fault: RuleFault },
    #[error("there is no role `{0}`")]
    Role(String),
}

/// The rules of one agent, those of its role among them.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    deny: Vec<Rule>,
    allow: Vec<Rule>,
    ask: Vec<Rule>,
    home: Option<Arc<str>>,
}

#[derive(Clone, Debug)]
struct Rule {
    rule: PermissionRule,
    /// Shown as who decided.
    by: String,
}

/// The rules that stand behind a role.
struct Preset {
    deny: &'static [&'static str],
    allow: &'static [&'static str],
    ask: &'static [&'static str],
}

const READ_ONLY: Preset = Preset {
    deny: &["write_file(*)", "command(*)"],
    allow: &["read_file(*)"],
    ask: &["read_url(*)"],
};
const READ_WRITE: Preset =
    Preset { deny: &[], allow: &["read_file(*)", "write_file(*)"], ask: &["read_url(*)"] };
/// What a rule, or nothing, says of one thing.
enum Said {
    Deny(String),
    Allow(Option<String>),
    Ask(String),
}

impl Rules {
    /// Reads the rules of an agent. `home` stands for `~/` in them.
    pub fn of(spec: &PermissionSpec, home: Option<&str>) -> Result<Rules, RulesError> {
        let role = spec.role.as_deref();
        let preset = match role {
            None => None,
            // Two words for each, one for what it may, one for what it does.
            Some("read-only" | "researcher") => Some(READ_ONLY),
            Some("read-write" | "implementer") => Some(READ_WRITE),
            Some(other) => return Err(RulesError::Role(other.to_owned())),
        };
        let mut rules = Rules { home: home.map(Arc::from), ..Rules::default() };
        for (own, list) in [
            (&spec.deny, &mut rules.deny),
            (&spec.allow, &mut rules.allow),
            (&spec.ask, &mut rules.ask),
        ] {
            for text in own {
                let rule: PermissionRule =
                    text.parse().map_err(|fault| RulesError::Rule { rule: text.clone(), fault })?;
                let by = format!("rule {rule}");
                list.push(Rule { rule, by });
            }
        }
        if let (Some(preset), Some(role)) = (preset, role) {
            for (own, list) in [
                (preset.deny, &mut rules.deny),
                (preset.allow, &mut rules.allow),
                (preset.ask, &mut rules.ask),
            ] {
                let read = own.iter().filter_map(|text| text.parse().ok());
                let by = format!("role {role}");
                list.extend(read.map(|rule| Rule { rule, by: by.clone() }));
            }
        }
        Ok(rules)
    }

    /// Decides about a whole call: what is denied in it denies it, what is to be asked about
    /// in it asks about it.
    pub fn decide(&self, facts: &Facts) -> Verdict {
        let mut allowed_by = None;
        let mut asked: Option<String> = None;
        if facts.is_cut {
            asked = Some("it names more paths than are looked at".to_owned());
        }
        for (subject, risk) in &facts.subjects {
            match self.say(subject, *risk) {
                Said::Deny(by) => {
                    let reason = format!("this is not allowed here: {}", facts.what);
                    return Verdict::Deny { by, reason };
                }
                Said::Ask(reason) => asked = asked.or(Some(reason)),
                Said::Allow(by) => allowed_by = allowed_by.or(by),
            }
        }
        match asked {
            Some(reason) => Verdict::Ask { what: facts.what.clone(), reason },
            None => Verdict::Allow { by: allowed_by },
        }
    }

    fn say(&self, subject: &Subject, risk: Risk) -> Said {
        if let Some(rule) = self.deny.iter().find(|rule| self.touches(rule, subject, true)) {
            return Said::Deny(rule.by.clone());
        }
        if let Subject::Command { line, script, is_confined } = subject {
            return self.say_of_command(subject, line, script, *is_confined);
        }
        if let Some(rule) = self.allow.iter().find(|rule| self.covers(rule, subject)) {
            return Said::Allow(Some(rule.by.clone()));
        }
        match self.asks(subject) {
            Some(reason) => Said::Ask(reason),
            None => by_risk(risk),
        }
    }

    /// A line is allowed if every command in it is: by a rule, or by its risk.
    fn say_of_command(
        &self,
        subject: &Subject,
        line: &str,
        script: &Script,
        is_confined: bool,
    ) -> Said {
        let allow = || self.allow.iter().filter(|rule| speaks_of(rule, RuleAction::Command));
        // What is allowed as a whole, word for word, needs no taking apart.
        let is_whole = |rule: &&Rule| rule.rule.pattern == "*" || rule.rule.pattern == line.trim();
        if let Some(rule) = allow().find(is_whole) {
            return Said::Allow(Some(rule.by.clone()));
        }
        if script.is_opaque {
            return Said::Ask("what it does is known only when it runs".to_owned());
        }
        let mut allowed_by = None;
        let mut is_all_allowed = true;
        for part in &script.parts {
            let allowing = allow()
                .find(|rule| part.name.is_some() && is_command(&rule.rule.pattern, &part.text));
            if let Some(rule) = allowing {
                allowed_by = allowed_by.or(Some(rule.by.clone()));
                continue;
            }
            is_all_allowed = false;
            let asking = self.ask.iter().find(|rule| {
                speaks_of(rule, RuleAction::Command)
                    && names_of_part(part).any(|name| is_command(&rule.rule.pattern, name))
            });
            if let Some(rule) = asking {
                return Said::Ask(format!("{} asks", rule.by));
            }
            if let Said::Ask(reason) = by_risk(risk::of_part(part, is_confined)) {
                return Said::Ask(reason);
            }
        }
        match self.asks(subject).filter(|_| !is_all_allowed) {
            Some(reason) => Said::Ask(reason),
            None => Said::Allow(allowed_by),
        }
    }

    fn asks(&self, subject: &Subject) -> Option<String> {
        let rule = self.ask.iter().find(|rule| self.touches(rule, subject, false))?;
        Some(format!("{} asks", rule.by))
    }

    /// Returns whether a rule that refuses or asks speaks of the thing under any of its names.
    fn touches(&self, rule: &Rule, subject: &Subject, denies: bool) -> bool {
        if !speaks_of(rule, subject.action()) {
            return false;
        }
        let pattern = self.pattern(rule);
        match subject {
            Subject::Command { line, script, .. } => {
                let mut names = script.parts.iter().flat_map(names_of_part);
                is_command(&pattern, line.trim()) || names.any(|name| is_command(&pattern, name))
            }
            Subject::ReadFile(file) => places(file).any(|place| fits_place(&pattern, place)),
            // Whoever moves or deletes a folder does so to all in it.
            Subject::WriteFile(file) => places(file)
                .any(|place| fits_place(&pattern, place) || (denies && holds(place, &pattern))),
            Subject::ReadUrl(url) => url_names(url).iter().any(|name| fits(&pattern, name)),
            Subject::Tool { name, aliases } => {
                fits(&pattern, name) || aliases.iter().any(|alias| fits(&pattern, alias))
            }
            Subject::Own(name) => fits(&pattern, name),
        }
    }

    /// Returns whether a rule that allows speaks of the thing wherever it leads.
    fn covers(&self, rule: &Rule, subject: &Subject) -> bool {
        if !speaks_of(rule, subject.action()) {
            return false;
        }
        let pattern = self.pattern(rule);
        match subject {
            Subject::Command { .. } => false,
            Subject::ReadFile(file) | Subject::WriteFile(file) => {
                places(file).all(|place| fits_place(&pattern, place))
            }
            // Without a slash it is a host: a page can be called like one.
            Subject::ReadUrl(url) => match &url_names(url)[..] {
                [url, ..] if pattern.contains('/') || pattern == "*" => fits(&pattern, url),
                [_, host] => fits(&pattern, host),
                _ => false,
            },
            Subject::Tool { name, aliases } => {
                // The bare name of a tool is any server's.
                let own = aliases.iter().filter(|alias| !name.ends_with(&format!("/{alias}")));
                fits(&pattern, name) || own.into_iter().any(|alias| fits(&pattern, alias))
            }
            Subject::Own(name) => fits(&pattern, name),
        }
    }

    fn pattern<'r>(&self, rule: &'r Rule) -> Cow<'r, str> {
        let pattern = rule.rule.pattern.as_str();
        match (pattern.strip_prefix("~/"), &self.home) {
            (Some(rest), Some(home)) => format!("{}/{rest}", home.trim_end_matches('/')).into(),
            (Some(_), None) | (None, _) => pattern.strip_prefix("./").unwrap_or(pattern).into(),
        }
    }
}

fn speaks_of(rule: &Rule, action: RuleAction) -> bool {
    rule.rule.action == RuleAction::Any || rule.rule.action == action
}

/// What can be undone needs nobody's word.
fn by_risk(risk: Risk) -> Said {
    match risk {
        Risk::Read | Risk::Undoable => Said::Allow(None),
        Risk::Network | Risk::Irreversible => Said::Ask(risk.reason().to_owned()),
    }
}

/// `git push *` is `git push` too.
fn is_command(pattern: &str, command: &str) -> bool {
    fits(pattern, command) || pattern.strip_suffix(" *").is_some_and(|bare| fits(bare, command))
}

fn names_of_part(part: &Part) -> impl Iterator<Item = &str> {
    std::iter::once(part.text.as_str()).chain(part.aliases.iter().map(String::as_str))
}

/// The path as it is written, and where it leads if that is elsewhere.
fn places(file: &Location) -> impl Iterator<Item = &Location> {
    std::iter::once(file).chain(file.resolved.as_deref())
}

fn fits_place(pattern: &str, place: &Location) -> bool {
    fits(pattern, &place.shown) || fits(pattern, &place.absolute)
}

/// Returns whether what the pattern names lies in that folder.
fn holds(place: &Location, pattern: &str) -> bool {
    let literal = pattern.split(['*', '?', '[']).next().unwrap_or_default();
    let is_below = |folder: &str| {
        literal.strip_prefix(folder.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'))
    };
    let is_workspace = place.shown == "." && !literal.is_empty() && !literal.starts_with('/');
    is_workspace || is_below(&place.shown) || is_below(&place.absolute)
}

/// An address as a client reads it, and its host.
fn url_names(url: &str) -> Vec<String> {
    let Ok(mut read) = reqwest::Url::parse(url) else { return vec![url.to_owned()] };
    // Who one is does not change where one goes.
    let _ = read.set_username("");
    let _ = read.set_password(None);
    let host = read.host_str().map(str::to_owned);
    std::iter::once(read.to_string()).chain(host).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
