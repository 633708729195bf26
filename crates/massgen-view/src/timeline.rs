//! What happened between the agents, in order.

use std::collections::VecDeque;
use std::fmt::Write;

use massgen_protocol::{AgentIndex, Millis};

use crate::RunView;
use crate::words::{duration, preview};

/// Rows kept. A run of fifty agents has a few thousand; the log has them all.
const ROWS_MAX: usize = 10_000;

/// Agents that still fit side by side; more are listed one row each.
const COLUMNS_MAX: usize = 5;

/// Characters of all agents' columns together.
const COLUMNS_WIDTH: usize = 110;

/// Facts of coordination, oldest first, bounded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    rows: VecDeque<Row>,
    dropped: u64,
}

/// One fact of coordination, in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub seq: u64,
    pub at: Millis,
    /// `None` for what concerns the team.
    pub agent: Option<AgentIndex>,
    pub kind: RowKind,
    pub text: String,
}

/// What a row is about, for colour or filtering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    Round,
    Answer,
    Vote,
    Void,
    /// A submission that did not count, or a rule that was broken.
    Refused,
    Update,
    Failure,
    Limit,
    Winner,
    Final,
    Team,
}

impl Timeline {
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = &Row> + ExactSizeIterator {
        self.rows.iter()
    }

    /// Returns how many older rows are no longer kept.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(crate) fn push(&mut self, row: Row) {
        if self.rows.len() == ROWS_MAX {
            self.rows.pop_front();
            self.dropped += 1;
        }
        self.rows.push_back(row);
    }
}

/// Returns the whole run as a text table: a column for each agent of a small
/// team, a row for each fact.
pub fn coordination_table(view: &RunView) -> String {
    let mut table = String::new();
    if let Some(question) = &view.question {
        line(&mut table, &format!("question  {}", preview(question, COLUMNS_WIDTH)));
    }
    for agent in &view.agents {
        let name = view.names.agent(agent.card.alias);
        line(&mut table, &format!("{name}  {} on {}", agent.card.model, agent.card.backend));
    }
    line(&mut table, "");
    if view.timeline.dropped() > 0 {
        line(&mut table, &format!("({} earlier rows are not kept)", view.timeline.dropped()));
    }
    let layout = Layout::of(view);
    layout.head(&mut table);
    for row in view.timeline.rows() {
        layout.row(&mut table, view, row);
    }
    if let Some(text) = view.final_text() {
        line(&mut table, "");
        line(&mut table, &format!("final answer  {}", preview(text, COLUMNS_WIDTH)));
    }
    table
}

/// How wide the columns are.
struct Layout {
    /// The agents' names; empty where there are too many for columns.
    columns: Vec<String>,
    width: usize,
}

const TIME_WIDTH: usize = 12;

impl Layout {
    fn of(view: &RunView) -> Layout {
        let n = view.agents.len();
        if n == 0 || n > COLUMNS_MAX {
            let name = |agent: &crate::AgentView| view.names.agent(agent.card.alias);
            let widest = view.agents.iter().map(|agent| name(agent).chars().count()).max();
            return Layout { columns: Vec::new(), width: widest.unwrap_or(0).clamp(4, 30) };
        }
        let columns = view.agents.iter().map(|agent| view.names.agent(agent.card.alias));
        Layout { columns: columns.collect(), width: COLUMNS_WIDTH / n }
    }

    fn head(&self, table: &mut String) {
        if self.columns.is_empty() {
            line(table, &format!("{} │ {} │", fit("time", TIME_WIDTH), fit("who", self.width)));
        } else {
            let names: Vec<String> =
                self.columns.iter().map(|name| fit(name, self.width)).collect();
            line(table, &format!("{} │ {}", fit("time", TIME_WIDTH), names.join(" │ ")));
        }
        let rule = |width: usize| "─".repeat(width);
        let n_columns = self.columns.len().max(1);
        let columns = vec![rule(self.width); n_columns].join("─┼─");
        line(table, &format!("{}─┼─{columns}", rule(TIME_WIDTH)));
    }

    fn row(&self, table: &mut String, view: &RunView, row: &Row) {
        let time = fit(&duration(row.at.0), TIME_WIDTH);
        match row.agent {
            None => line(table, &format!("{time} │ ● {}", row.text)),
            Some(agent) if agent.at() >= self.columns.len() => {
                let name = fit(&view.names.agent(agent), self.width);
                line(table, &format!("{time} │ {name} │ {}", row.text));
            }
            Some(agent) => {
                let time = std::iter::once(time).chain(std::iter::repeat(fit("", TIME_WIDTH)));
                for (piece, time) in wrapped(&row.text, self.width).iter().zip(time) {
                    let cell = |column| if column == agent.at() { piece } else { "" };
                    let cells = (0..self.columns.len()).map(|column| fit(cell(column), self.width));
                    let cells: Vec<String> = cells.collect();
                    line(table, &format!("{time} │ {}", cells.join(" │ ")));
                }
            }
        }
    }
}

/// Breaks a text into lines of at most `width` characters, between words where it can.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut n_chars = 0;
    for word in text.split_whitespace() {
        let n_word = word.chars().count();
        if n_chars > 0 && n_chars + 1 + n_word > width {
            lines.push(std::mem::take(&mut line));
            n_chars = 0;
        }
        if n_chars > 0 {
            line.push(' ');
            n_chars += 1;
        }
        for char in word.chars() {
            if n_chars == width {
                lines.push(std::mem::take(&mut line));
                n_chars = 0;
            }
            line.push(char);
            n_chars += 1;
        }
    }
    lines.push(line);
    lines
}

/// Cuts or fills a text to a number of characters.
fn fit(text: &str, width: usize) -> String {
    let short = if text.chars().count() > width {
        preview(text, width.saturating_sub(1))
    } else {
        text.to_owned()
    };
    format!("{short:<width$}")
}

fn line(table: &mut String, text: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(table, "{}", text.trim_end());
}
