//! Rules about calls as they are written: `action(glob)`.

use std::fmt;
use std::str::FromStr;

/// Longest rule; the longest of a real config has 60 characters.
pub const RULE_BYTES_MAX: usize = 1_000;

/// Presets of rules, `permissions.role`.
pub const PERMISSION_ROLES: [&str; 4] = ["read-only", "researcher", "read-write", "implementer"];

/// One rule. What it means, deny, allow or ask, is where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionRule {
    pub action: RuleAction,
    /// `*` is any text, `/` included; `?` one character; `[…]` one of several.
    pub pattern: String,
}

/// What a call does, in the words of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleAction {
    Command,
    ReadFile,
    WriteFile,
    ReadUrl,
    /// Tools of servers and of Python files, as `server/tool`.
    Mcp,
    Any,
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleFault {
    Empty,
    TooLong,
    /// The word in front is none of the actions.
    Action(String),
    /// `command(ls`
    Unclosed,
    /// `command(ls) x`
    Trailing,
    /// A line break or another control character.
    Control,
}

impl RuleAction {
    pub const ALL: [RuleAction; 6] = [
        RuleAction::Command,
        RuleAction::ReadFile,
        RuleAction::WriteFile,
        RuleAction::ReadUrl,
        RuleAction::Mcp,
        RuleAction::Any,
    ];

    pub fn name(self) -> &'static str {
        match self {
            RuleAction::Command => "command",
            RuleAction::ReadFile => "read_file",
            RuleAction::WriteFile => "write_file",
            RuleAction::ReadUrl => "read_url",
            RuleAction::Mcp => "mcp",
            RuleAction::Any => "*",
        }
    }
}

impl FromStr for PermissionRule {
    type Err = RuleFault;

    /// Reads a rule; an action alone stands for all its targets.
    fn from_str(text: &str) -> Result<PermissionRule, RuleFault> {
        let text = text.trim();
        if text.is_empty() {
            return Err(RuleFault::Empty);
        }
        if text.len() > RULE_BYTES_MAX {
            return Err(RuleFault::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(RuleFault::Control);
        }
        let (name, target) = match text.split_once('(') {
            Some((name, target)) => (name.trim_end(), Some(target)),
            None => (text, None),
        };
        let action = RuleAction::ALL.into_iter().find(|action| action.name() == name);
        let Some(action) = action else { return Err(RuleFault::Action(name.to_owned())) };
        let pattern = match target {
            None => "*",
            Some(target) => match target.rsplit_once(')') {
                Some((pattern, "")) => pattern.trim(),
                Some(_) => return Err(RuleFault::Trailing),
                None => return Err(RuleFault::Unclosed),
            },
        };
        if pattern.is_empty() {
            return Err(RuleFault::Empty);
        }
        Ok(PermissionRule { action, pattern: pattern.to_owned() })
    }
}

impl fmt::Display for PermissionRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.action.name(), self.pattern)
    }
}

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RuleFault::Empty => f.write_str("a rule needs an action and a target"),
            RuleFault::TooLong => write!(f, "a rule has at most {RULE_BYTES_MAX} bytes"),
            RuleFault::Action(name) => {
                let shown: String = name.chars().take(40).collect();
                write!(f, "`{shown}` is no action")
            }
            RuleFault::Unclosed => f.write_str("the parenthesis of this rule is not closed"),
            RuleFault::Trailing => f.write_str("there is text after the rule's parenthesis"),
            RuleFault::Control => f.write_str("a rule is one line"),
        }
    }
}

impl std::error::Error for RuleFault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_an_action_and_a_target() {
        let check = |text: &str, expected: &str| {
            let read = text.parse::<PermissionRule>();
            let shown =
                read.map_or_else(|fault| format!("fault: {fault}"), |rule| rule.to_string());
            assert_eq!(shown, expected, "{text}");
        };
        check("command(git push --force*)", "command(git push --force*)");
        check(" write_file( ./** ) ", "write_file(./**)");
        check("read_url", "read_url(*)");
        check("*", "*(*)");
        check("mcp(linear/*)", "mcp(linear/*)");
        check("command(echo (a))", "command(echo (a))");
        check("", "fault: a rule needs an action and a target");
        check("command()", "fault: a rule needs an action and a target");
        check("comand(ls)", "fault: `comand` is no action");
        check("(ls)", "fault: `` is no action");
        check("Command(ls)", "fault: `Command` is no action");
        check("command(ls", "fault: the parenthesis of this rule is not closed");
        check("command(ls) -x", "fault: there is text after the rule's parenthesis");
        check("command(a\nb)", "fault: a rule is one line");
        check(&format!("mcp({})", "x".repeat(2_000)), "fault: a rule has at most 1000 bytes");
    }
}
