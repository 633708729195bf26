//! Which commands are refused before they are tried. It makes for clear words; what holds a
//! command back is the sandbox.

use std::sync::LazyLock;

use massgen_protocol::CommandSpec;
use regex::Regex;

/// Where a command begins in a line of the shell.
const BEGIN: &str = r"(?:^|[;&|(`{\n]|\$\(|\b(?:then|do|else|exec|nohup|time|env|xargs)\s)\s*";

/// A command that cannot do any good, and what to do instead.
struct Senseless {
    pattern: Regex,
    why: &'static str,
}

static SENSELESS: LazyLock<Vec<Senseless>> = LazyLock::new(|| {
    [
        (r"(?:sudo|su|doas|pkexec)\b(?:\s|$)", "nothing here runs as another user: do without it"),
        (
            r"rm\s+(?:-\w+\s+|--[\w-]+\s+)*(?:/|/\*|~|~/|~/\*|\$HOME/?|/(?:bin|boot|dev|etc|home|lib|opt|proc|root|sbin|sys|usr|var)/?\*?)(?:\s|$|[;&|])",
            "this would remove what is not yours: name files in your workspace",
        ),
        (r"mkfs(?:\.\w+)?\b", "there is no disk here to format"),
        (r"dd\s[^;&|\n]*\bof=/dev/(?:sd|hd|nvme|vd|mapper|mem|kmem)", "disks are not written to directly"),
        (r"(?:shutdown|reboot|halt|poweroff)\b(?:\s|$)", "the machine stays on"),
    ]
    .into_iter()
    .map(|(pattern, why)| (format!("{BEGIN}{pattern}"), why))
    .chain([
        (r">\s*/dev/(?:sd|hd|nvme|vd)\w*".to_owned(), "disks are not written to directly"),
        (r"(\w+|:)\s*\(\)\s*\{[^}]*\|[^}]*&\s*\}\s*;".to_owned(), "this starts processes without end"),
    ])
    .filter_map(|(pattern, why)| Regex::new(&pattern).ok().map(|pattern| Senseless { pattern, why }))
    .collect()
});

/// The rules of one agent.
pub struct Filter {
    allow: Vec<Regex>,
    block: Vec<Regex>,
    /// With a list of what is allowed, nothing else is, also if none of it can be read.
    is_listed: bool,
    /// A rule that cannot be read may be one that refuses.
    unread: Option<String>,
}

impl Filter {
    /// Returns the rules, and what is wrong with them in words for the user.
    pub fn new(spec: &CommandSpec) -> (Filter, Vec<String>) {
        let (allow, wrong_allow) = compiled(&spec.allow, "allow");
        let (block, wrong_block) = compiled(&spec.block, "block");
        let filter = Filter {
            allow,
            block,
            is_listed: !spec.allow.is_empty(),
            unread: wrong_block.first().cloned(),
        };
        (filter, wrong_allow.into_iter().chain(wrong_block).collect())
    }

    /// # Errors
    /// Why the command is not run.
    pub fn check(&self, command: &str) -> Result<(), String> {
        if command.trim().is_empty() {
            return Err("the command is empty".to_owned());
        }
        if let Some(unread) = &self.unread {
            return Err(format!(
                "no command is run, because a rule against commands cannot be read: {unread}"
            ));
        }
        if command.contains('\0') {
            return Err("a command holds no NUL".to_owned());
        }
        if let Some(found) = SENSELESS.iter().find(|known| known.pattern.is_match(command)) {
            return Err(format!("not run: {}", found.why));
        }
        if let Some(rule) = self.block.iter().find(|rule| rule.is_match(command)) {
            return Err(format!("not run: the config blocks commands like it (`{rule}`)"));
        }
        if self.is_listed
            && !self
                .allow
                .iter()
                .any(|rule| rule.find(command).is_some_and(|found| found.start() == 0))
        {
            let rules: Vec<String> = self.allow.iter().map(|rule| format!("`{rule}`")).collect();
            return Err(format!(
                "not run: the config allows only commands that begin like {}",
                rules.join(", ")
            ));
        }
        Ok(())
    }
}

fn compiled(rules: &[String], list: &str) -> (Vec<Regex>, Vec<String>) {
    let (mut good, mut wrong) = (Vec::new(), Vec::new());
    for rule in rules {
        match Regex::new(rule) {
            Ok(rule) => good.push(rule),
            Err(error) => {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim();
                wrong.push(format!("commands.{list}: `{rule}` is no regular expression: {why}"));
            }
        }
    }
    (good, wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(allow: &[&str], block: &[&str]) -> (Filter, Vec<String>) {
        let texts = |list: &[&str]| list.iter().map(|rule| (*rule).to_owned()).collect();
        Filter::new(&CommandSpec {
            allow: texts(allow),
            block: texts(block),
            ..CommandSpec::default()
        })
    }

    #[test]
    fn senseless_commands_are_refused_and_like_ones_are_not() {
        assert_eq!(SENSELESS.len(), 7, "all patterns compile");
        let (filter, _) = filter(&[], &[]);
        for command in [
            "sudo ls",
            "ls; sudo rm x",
            "su",
            "rm -rf /",
            "rm -rf /*",
            "rm -r -f ~",
            "cd x && rm -rf /usr/*",
            "rm -rf $HOME",
            "mkfs.ext4 /dev/sda1",
            "dd if=/dev/zero of=/dev/sda",
            "echo x > /dev/sda",
            ":(){ :|:& };:",
            "shutdown -h now",
            "x=$(sudo id)",
            "",
            "  ",
            "a\0b",
        ] {
            assert!(filter.check(command).is_err(), "{command}");
        }
        for command in [
            "ls --format x",
            "echo sudoku",
            "rm -rf build",
            "rm -rf ./",
            "rm -rf /tmp/x",
            "dd if=a of=b",
            "echo 'halting'",
            "grep su file",
            "python sudo.py",
            "ls > /dev/null",
            "f() { echo a; }; f",
            "git reset --hard",
        ] {
            assert_eq!(filter.check(command), Ok(()), "{command}");
        }
    }

    #[test]
    fn rules_of_the_config_hold() {
        let (rules, wrong) = filter(&["python3? ", "ls"], &["rm "]);
        assert!(wrong.is_empty());
        assert_eq!(rules.check("python x.py"), Ok(()));
        assert_eq!(rules.check("ls"), Ok(()));
        assert!(rules.check("cat x; ls").is_err_and(|said| said.contains("`python3? `, `ls`")));
        assert!(rules.check("ls; rm x").is_err_and(|said| said.contains("`rm `")));
    }

    #[test]
    fn rules_that_cannot_be_read_refuse() {
        let (rules, wrong) = filter(&["(unclosed"], &[]);
        assert_eq!(wrong.len(), 1);
        assert!(rules.check("ls").is_err());
        let (rules, wrong) = filter(&[], &["(?!x)"]);
        assert!(wrong[0].contains("commands.block: `(?!x)`"), "{wrong:?}");
        assert!(rules.check("ls").is_err_and(|said| said.contains("cannot be read")));
    }
}
