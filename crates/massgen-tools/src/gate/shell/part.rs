//! One command of a line: what it is called, and the other texts a rule may know it by.

use super::{PARTS_MAX, Script, split_into};

/// Most words at the head of a command that a program in front of it may take for itself.
const SUFFIXES_MAX: usize = 12;

/// Programs that run another one which their arguments name.
const WRAPPERS: &[&str] = &[
    "builtin", "busybox", "chroot", "command", "doas", "env", "exec", "find", "flock", "ionice",
    "nice", "nohup", "npx", "parallel", "setsid", "stdbuf", "strace", "su", "sudo", "taskset",
    "time", "timeout", "unshare", "uvx", "watch", "xargs",
];

/// Programs that run a text.
const SHELLS: &[&str] = &["ash", "bash", "dash", "fish", "ksh", "sh", "zsh"];

/// Words of a shell's own in front of a command.
const LEADING: &[&str] = &[
    "!", "coproc", "do", "done", "elif", "else", "esac", "fi", "if", "then", "until", "while", "{",
    "}",
];

/// Options of git in front of its command that take a word.
const GIT_OPTIONS: &[&str] = &["-C", "-c", "--git-dir", "--work-tree", "--namespace"];

/// A piece of a command, without its quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    pub text: String,
    /// Variables, substitutions or patterns make another text of it.
    pub is_computed: bool,
    pub is_quoted: bool,
    pub has_brace: bool,
}

impl Word {
    pub fn push(&mut self, c: char) {
        self.text.push(c);
    }

    /// Returns whether it names a stream in front of `>`.
    pub fn is_number(&self) -> bool {
        !self.text.is_empty() && !self.is_quoted && self.text.chars().all(|c| c.is_ascii_digit())
    }
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gate) struct Part {
    /// As it stands there, one space between words and without quotes.
    pub text: String,
    /// Other ways to name it: without its folder, without what runs it. What refuses or asks
    /// looks at them too; what allows does not.
    pub aliases: Vec<String>,
    /// Without its folder; none where only a shell knows it.
    pub name: Option<String>,
    /// After the name.
    pub arguments: Vec<String>,
    /// It runs what it is sent on its standard input.
    pub runs_input: bool,
}

impl Part {
    /// Returns the commands that this one may run: itself, and, for one that runs another,
    /// whatever its arguments could name.
    pub fn commands(&self) -> Vec<(&str, &[String])> {
        let mut commands = Vec::new();
        if let Some(name) = &self.name {
            commands.push((name.as_str(), &self.arguments[..]));
            if is_in(WRAPPERS, name) {
                let inner = self.arguments.iter().enumerate().take(SUFFIXES_MAX);
                commands.extend(inner.map(|(n, word)| (base(word), &self.arguments[n + 1..])));
            }
        }
        commands
    }
}

/// Returns whether a script is what these words want to be fed with.
pub(super) fn is_shell(words: &[Word]) -> bool {
    words.iter().any(|word| is_in(SHELLS, base(&word.text)))
}

/// Returns whether the next word after these is the name of a command.
pub(super) fn is_head(words: &[Word]) -> bool {
    words.iter().all(|word| !word.is_quoted && is_in(LEADING, &word.text))
}

/// Takes in a command, and those inside its arguments.
pub(super) fn push(script: &mut Script, mut words: Vec<Word>, fed: &[String], depth: usize) {
    while words.first().is_some_and(|word| !word.is_quoted && is_in(LEADING, &word.text)) {
        words.remove(0);
    }
    let heads_loop = |word: &Word| matches!(&*word.text, "for" | "select" | "case" | "function");
    if words.first().is_none_or(|word| !word.is_quoted && heads_loop(word)) {
        return;
    }
    if script.parts.len() >= PARTS_MAX {
        script.is_opaque = true;
        return;
    }
    let n_set = words.iter().take_while(|word| is_assignment(word)).count();
    let text = joined(&words);
    let command = &words[n_set..];
    let Some(first) = command.first() else {
        // Nothing runs; what the values run has been found before.
        return;
    };
    let is_bracket = matches!(&*first.text, "[" | "[[");
    let name = (!first.is_computed || is_bracket).then(|| base(&first.text).to_owned());
    let arguments: Vec<String> = command[1..].iter().map(|word| word.text.clone()).collect();
    let aliases = aliases(&text, name.as_deref(), command);
    let part = Part { text, aliases, name, arguments, runs_input: false };
    inner_scripts(script, part, command, fed, depth);
}

/// Reads what a shell among the words is given to run.
fn inner_scripts(
    script: &mut Script,
    mut part: Part,
    command: &[Word],
    fed: &[String],
    depth: usize,
) {
    if part.name.as_deref() == Some("eval") {
        script.is_opaque |= command[1..].iter().any(|word| word.is_computed);
        let line = joined(&command[1..]);
        script.parts.push(part);
        return split_into(script, &line, depth + 1);
    }
    let shell = command.iter().position(|word| is_in(SHELLS, base(&word.text)));
    let is_run = shell.is_some_and(|at| {
        at == 0 || part.name.as_deref().is_some_and(|name| is_in(WRAPPERS, name))
    });
    let Some(at) = shell.filter(|_| is_run) else {
        script.parts.push(part);
        return;
    };
    let rest = &command[at + 1..];
    let is_inline = |word: &Word| {
        word.text.starts_with('-') && !word.text.starts_with("--") && word.text.contains('c')
    };
    let line = match rest.iter().position(is_inline) {
        Some(option) => rest.get(option + 1),
        None => None,
    };
    if let Some(line) = line {
        script.is_opaque |= line.is_computed;
        script.parts.push(part);
        return split_into(script, &line.text, depth + 1);
    }
    let has_file = rest.iter().any(|word| !word.text.starts_with('-'));
    part.runs_input = !has_file && fed.is_empty();
    script.parts.push(part);
    if !has_file {
        for body in fed {
            split_into(script, body, depth + 1);
        }
    }
}

fn aliases(text: &str, name: Option<&str>, command: &[Word]) -> Vec<String> {
    let mut aliases = Vec::new();
    let plain = joined(command);
    if let Some(name) = name {
        let rest = joined(&command[1..]);
        let by_name = if rest.is_empty() { name.to_owned() } else { format!("{name} {rest}") };
        if is_in(WRAPPERS, name) {
            let starts = 1..command.len().min(1 + SUFFIXES_MAX);
            for start in starts {
                let inner = &command[start..];
                let head = Word { text: base(&inner[0].text).to_owned(), ..Word::default() };
                let line: Vec<Word> =
                    std::iter::once(head).chain(inner[1..].iter().cloned()).collect();
                aliases.push(joined(&line));
            }
        }
        if name == "git" {
            aliases.push(without_git_options(command));
        }
        aliases.push(by_name);
    }
    aliases.push(plain);
    aliases.retain(|alias| alias != text);
    aliases.sort();
    aliases.dedup();
    aliases
}

/// `git -C dir push` → `git push`
fn without_git_options(command: &[Word]) -> String {
    let mut rest = &command[1..];
    while let Some(option) = rest.first().filter(|word| word.text.starts_with('-')) {
        let takes_word = is_in(GIT_OPTIONS, &option.text);
        rest = &rest[rest.len().min(1 + usize::from(takes_word))..];
    }
    format!("git {}", joined(rest)).trim_end().to_owned()
}

fn is_assignment(word: &Word) -> bool {
    let Some((name, _)) = word.text.split_once('=') else { return false };
    let name = name.strip_suffix('+').unwrap_or(name);
    let is_name = |c: char| c == '_' || c.is_ascii_alphanumeric();
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(is_name)
}

fn joined(words: &[Word]) -> String {
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    texts.join(" ")
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn is_in(list: &[&str], word: &str) -> bool {
    list.contains(&word)
}
