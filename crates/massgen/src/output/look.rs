//! How output looks: colour, width, and whether a line may be redrawn.

use std::io::IsTerminal;

use massgen_protocol::AgentIndex;

/// Narrower than this, wrapping would leave no room beside an agent's name.
const WIDTH_MIN: usize = 40;

/// What the place we write to can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    pub colour: bool,
    /// Columns of a terminal, where text is wrapped and a status line is redrawn.
    pub terminal: Option<usize>,
}

/// What a piece of text is, which decides its colour. ANSI names only, neither
/// white nor black: both vanish on some background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Bold,
    Dim,
    Agent(AgentIndex),
    Good,
    Warning,
}

impl Look {
    /// Neither colour nor width: a pipe or a file.
    pub const PIPE: Look = Look { colour: false, terminal: None };

    /// Looks at stderr, where progress goes.
    pub fn of_stderr(no_color: bool) -> Look {
        Look::of(std::io::stderr().is_terminal(), no_color)
    }

    /// Looks at stdout, where lists go.
    pub fn of_stdout(no_color: bool) -> Look {
        Look::of(std::io::stdout().is_terminal(), no_color)
    }

    fn of(is_terminal: bool, no_color: bool) -> Look {
        if !is_terminal {
            return Look::PIPE;
        }
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        // NO_COLOR counts when it is there and not empty, whatever it says.
        let wished = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let width = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
        Look {
            colour: wished && !no_color && !dumb,
            terminal: (!dumb).then_some(width.max(WIDTH_MIN)),
        }
    }

    /// Returns `text` in the colour of its tone.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Bold => "1",
            Tone::Dim => "2",
            Tone::Agent(agent) => AGENTS[agent.at() % AGENTS.len()],
            Tone::Good => "32",
            Tone::Warning => "33",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Cyan, magenta, blue, yellow, green, then their bright forms.
const AGENTS: [&str; 10] = ["36", "35", "34", "33", "32", "96", "95", "94", "93", "92"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_look_with_colour_paints() {
        let look = Look { colour: true, terminal: Some(80) };
        assert_eq!(look.paint(Tone::Agent(AgentIndex(1)), "a"), "\x1b[35ma\x1b[0m");
        assert_eq!(look.paint(Tone::Agent(AgentIndex(11)), "a"), "\x1b[35ma\x1b[0m");
        assert_eq!(look.paint(Tone::Plain, "a"), "a");
        assert_eq!(Look::PIPE.paint(Tone::Warning, "a"), "a");
    }
}
