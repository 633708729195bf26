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
    table(view, None)
}

/// Returns the table for a terminal of so many columns; where they do not do for
/// the agents side by side, they are listed.
pub fn coordination_table_within(view: &RunView, columns: usize) -> String {
    table(view, Some(columns.max(TERMINAL_MIN)))
}

fn table(view: &RunView, terminal: Option<usize>) -> String {
    let mut table = String::new();
    let said = |what: &str| {
        let room = terminal.map(|columns| columns.saturating_sub(what.chars().count() + 3));
        room.unwrap_or(COLUMNS_WIDTH).min(COLUMNS_WIDTH)
    };
    if let Some(question) = &view.question {
        line(&mut table, &format!("question  {}", preview(question, said("question"))));
    }
    for agent in &view.agents {
        let name = preview(&view.names.agent(agent.card.alias), NAME_MAX);
        let model = format!("{} on {}", agent.card.model, agent.card.backend);
        line(&mut table, &format!("{name}  {}", preview(&model, said(&name))));
    }
    line(&mut table, "");
    if view.timeline.dropped() > 0 {
        line(&mut table, &format!("({} earlier rows are not kept)", view.timeline.dropped()));
    }
    let layout = Layout::of(view, terminal);
    layout.head(&mut table);
    for row in view.timeline.rows() {
        layout.row(&mut table, view, row);
    }
    if let Some(text) = view.final_text() {
        line(&mut table, "");
        line(&mut table, &format!("final answer  {}", preview(text, said("final answer"))));
    }
    table
}

/// How wide the columns are.
struct Layout {
    /// The agents' names; empty where there are too many for columns.
    columns: Vec<String>,
    width: usize,
    /// Width of a text beside the time, and beside the time and a name.
    texts: Option<(usize, usize)>,
}

const TIME_WIDTH: usize = 12;

/// What stands between two columns.
const GAP_WIDTH: usize = 3;

/// Characters of an agent's column that can still be read.
const COLUMN_MIN: usize = 20;

/// Characters of a listed name.
const NAME_MAX: usize = 30;

/// Columns of a terminal that the table needs in any case.
const TERMINAL_MIN: usize = 40;

impl Layout {
    fn of(view: &RunView, terminal: Option<usize>) -> Layout {
        let n = view.agents.len();
        let team = terminal.map(|columns| columns.saturating_sub(TIME_WIDTH + GAP_WIDTH));
        let width = match team {
            None => COLUMNS_WIDTH.checked_div(n),
            Some(team) => (team + GAP_WIDTH)
                .checked_div(n)
                .map(|width| width.saturating_sub(GAP_WIDTH).min(COLUMNS_WIDTH / n)),
        };
        let is_listed = n > COLUMNS_MAX || width.is_none_or(|width| width < COLUMN_MIN);
        let (columns, width) = if is_listed {
            let name = |agent: &crate::AgentView| view.names.agent(agent.card.alias);
            let widest = view.agents.iter().map(|agent| name(agent).chars().count()).max();
            // Half of a narrow terminal is left to what is said.
            let most = team.map_or(NAME_MAX, |team| (team / 2).min(NAME_MAX));
            (Vec::new(), widest.unwrap_or(0).clamp(4, most))
        } else {
            let columns = view.agents.iter().map(|agent| view.names.agent(agent.card.alias));
            (columns.collect(), width.unwrap_or(COLUMNS_WIDTH))
        };
        let texts = team.map(|team| {
            // The mark of a row of the team takes two.
            (team.saturating_sub(2), team.saturating_sub(width + GAP_WIDTH))
        });
        Layout { columns, width, texts }
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
            None => {
                let width = self.texts.map(|(team, _)| team);
                let heads = first_then(format!("{time} │ ● "), " ".repeat(TIME_WIDTH) + " │   ");
                for (piece, head) in pieces(&row.text, width).iter().zip(heads) {
                    line(table, &format!("{head}{piece}"));
                }
            }
            Some(agent) if agent.at() >= self.columns.len() => {
                let name = fit(&view.names.agent(agent), self.width);
                let width = self.texts.map(|(_, agent)| agent);
                let blank = format!("{} │ {}", fit("", TIME_WIDTH), fit("", self.width));
                let heads = first_then(format!("{time} │ {name}"), blank);
                for (piece, head) in pieces(&row.text, width).iter().zip(heads) {
                    line(table, &format!("{head} │ {piece}"));
                }
            }
            Some(agent) => {
                let times = first_then(time, fit("", TIME_WIDTH));
                for (piece, time) in wrapped(&row.text, self.width).iter().zip(times) {
                    let cell = |column| if column == agent.at() { piece } else { "" };
                    let cells = (0..self.columns.len()).map(|column| fit(cell(column), self.width));
                    let cells: Vec<String> = cells.collect();
                    line(table, &format!("{time} │ {}", cells.join(" │ ")));
                }
            }
        }
    }
}

/// What stands before the first line of a text, and before the others.
fn first_then(first: String, then: String) -> impl Iterator<Item = String> {
    std::iter::once(first).chain(std::iter::repeat(then))
}

/// Breaks a text where there is a width to keep to.
fn pieces(text: &str, width: Option<usize>) -> Vec<String> {
    match width {
        Some(width) => wrapped(text, width),
        None => vec![text.to_owned()],
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
