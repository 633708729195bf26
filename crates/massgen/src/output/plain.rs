//! What people see: progress on stderr, the answer on stdout. `choose` gives it a
//! place for progress that never refuses, so only stdout can end what it shows.
//!
//! What is said of a fact is the view's: the rows and notices it adds for an
//! event are shown as they come. Here is what only a terminal has: streamed
//! text in whole lines, colour, and a last line that is redrawn.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use massgen_protocol::{
    AgentIndex, Event, EventBody, Millis, Outcome, RoundId, RoundKind, TextChannel,
};
use massgen_view::{Level, Row, RowKind, RunView, words};

use super::status_line::status_line;
use super::stream::{Stream, wrapped};
use super::totals::totals;
use super::{Ending, Look, Output, Tone, clean, one_line, print_answer, tell};
use crate::approvals;
use crate::error::CliError;

/// Characters of an agent's name beside each of its lines.
const NAME_CHARS_MAX: usize = 28;

/// Characters of a question or of a tool's arguments on a line.
const PREVIEW_CHARS: usize = 200;

/// Agents listed one a line at the start; of larger teams only the number is told.
const LISTED_MAX: usize = 12;

/// Progress, line by line. Everything goes to `out`, only the answer to stdout.
pub struct Plain<W: Write> {
    out: W,
    look: Look,
    view: RunView,
    /// Text of running calls that is not shown yet.
    streams: BTreeMap<AgentIndex, Stream>,
    is_status_drawn: bool,
}

impl<W: Write> Plain<W> {
    pub fn new(out: W, look: Look) -> Plain<W> {
        let view = RunView::default();
        Plain { out, look, view, streams: BTreeMap::new(), is_status_drawn: false }
    }

    fn prefix(&self, agent: AgentIndex) -> String {
        format!("[{}]", one_line(&self.view.names.agent(agent), NAME_CHARS_MAX))
    }

    /// Width for an agent's text, beside its name.
    fn text_width(&self, agent: AgentIndex) -> Option<usize> {
        let prefix = self.prefix(agent).chars().count() + 1;
        // Half of a narrow terminal at least, however long the name.
        self.look.terminal.map(|columns| columns.saturating_sub(prefix).max(columns / 2))
    }

    /// Writes a line of an agent, or of the team; on a terminal as many as it takes.
    fn line(&mut self, agent: Option<AgentIndex>, tone: Tone, text: &str) -> io::Result<()> {
        self.clear_status()?;
        // One line is one agent's, whatever a name or a message holds.
        let text = clean(text).replace('\n', " ");
        let (prefix, width) = match agent {
            None => (String::new(), self.look.terminal),
            Some(agent) => {
                let prefix = self.look.paint(Tone::Agent(agent), &self.prefix(agent));
                (prefix + " ", self.text_width(agent))
            }
        };
        for piece in wrapped(&text, width) {
            let line = format!("{prefix}{}", self.look.paint(tone, piece));
            writeln!(self.out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    fn clear_status(&mut self) -> io::Result<()> {
        if self.is_status_drawn {
            self.is_status_drawn = false;
            write!(self.out, "\r\x1b[2K")?;
        }
        Ok(())
    }

    fn show(&mut self, event: &Event) -> io::Result<()> {
        // What an agent was writing comes before what became of it.
        if let Some(agent) = ends_text_of(&event.body) {
            self.finish_stream(agent)?;
        }
        let is_presenting = self.is_presenting(&event.body);
        self.view.apply(event);
        match &event.body {
            EventBody::RunStarted { .. } => self.head(),
            EventBody::QuestionAsked { question } => {
                let question = one_line(&question.text, PREVIEW_CHARS);
                self.line(None, Tone::Bold, &format!("question: {question}"))
            }
            EventBody::TextStreamed { call, channel, text } => {
                // The final text goes to stdout, once, when it is whole.
                if is_presenting { Ok(()) } else { self.stream(call.round, *channel, text) }
            }
            EventBody::RoundOpened { round, kind, .. } => match kind {
                RoundKind::Coordinate => Ok(()),
                RoundKind::Present => {
                    self.line(Some(round.agent), Tone::Bold, "writes the final answer")
                }
                RoundKind::Review => {
                    self.line(Some(round.agent), Tone::Bold, "reviews the final answer")
                }
            },
            EventBody::ToolStarted { round, name, arguments, .. } => {
                let arguments = one_line(arguments.text(), PREVIEW_CHARS);
                self.line(Some(round.agent), Tone::Dim, &format!("runs {name} {arguments}"))
            }
            EventBody::ToolFinished { round, name, output, is_error: true, .. } => {
                let output = one_line(output.text(), PREVIEW_CHARS);
                self.line(Some(round.agent), Tone::Warning, &format!("{name} failed: {output}"))
            }
            EventBody::RemoteToolStarted { call, name, input, .. } => {
                let input = one_line(input.text(), PREVIEW_CHARS);
                self.line(Some(call.round.agent), Tone::Dim, &format!("runs {name} {input}"))
            }
            EventBody::RemoteToolFinished { call, name, output, is_error: true, .. } => {
                let output = one_line(output.text(), PREVIEW_CHARS);
                let text = format!("{name} failed: {output}");
                self.line(Some(call.round.agent), Tone::Warning, &text)
            }
            EventBody::InterruptRequested => {
                let text = "wrapping up with what exists; Ctrl-C again stops at once";
                self.line(None, Tone::Warning, text)
            }
            // The answer itself follows on stdout.
            EventBody::Presented { .. }
            | EventBody::TurnFinished { outcome: Outcome::Answered { .. } } => Ok(()),
            _ => self.rows(event.seq),
        }
    }

    /// Shows what the view says of an event: its rows, or else its notice.
    fn rows(&mut self, seq: u64) -> io::Result<()> {
        let rows = self.view.timeline.rows().rev().take_while(|row| row.seq == seq);
        let mut said: Vec<(Option<AgentIndex>, Tone, String)> =
            rows.map(|row| (row.agent, tone_of_row(row), row.text.clone())).collect();
        said.reverse();
        if said.is_empty() {
            let (notices, _) = self.view.notices();
            let notices = notices.rev().take_while(|notice| notice.seq == seq);
            let shown = |notice: &massgen_view::Notice| {
                let tone = match notice.level {
                    Level::Info => Tone::Dim,
                    Level::Warning | Level::Error => Tone::Warning,
                };
                (notice.agent, tone, notice.text.clone())
            };
            said = notices.map(shown).collect();
        }
        for (agent, tone, text) in said {
            self.line(agent, tone, &text)?;
        }
        Ok(())
    }

    fn head(&mut self) -> io::Result<()> {
        let n_agents = self.view.agents.len();
        let run = self.view.run.as_ref().map(ToString::to_string).unwrap_or_default();
        let agents =
            if n_agents == 1 { "1 agent".to_owned() } else { format!("{n_agents} agents") };
        self.line(None, Tone::Dim, &format!("run {run}, {agents}"))?;
        if n_agents > LISTED_MAX {
            return Ok(());
        }
        let cards: Vec<_> = self.view.agents.iter().map(|agent| agent.card.clone()).collect();
        for card in cards {
            let text = format!("{} on {}", card.model, card.backend);
            self.line(Some(card.alias), Tone::Dim, &text)?;
        }
        Ok(())
    }

    fn stream(&mut self, round: RoundId, channel: TextChannel, text: &str) -> io::Result<()> {
        let width = self.text_width(round.agent);
        let stream = self.streams.entry(round.agent).or_default();
        for line in stream.push(channel, text, width) {
            self.line(Some(round.agent), tone_of_text(line.channel), &line.text)?;
        }
        Ok(())
    }

    /// Shows the rest of what an agent was writing.
    fn finish_stream(&mut self, agent: AgentIndex) -> io::Result<()> {
        let rest = self.streams.remove(&agent).and_then(|mut stream| stream.finish());
        match rest {
            Some(line) => self.line(Some(agent), tone_of_text(line.channel), &line.text),
            None => Ok(()),
        }
    }

    /// Whether streamed text belongs to a presentation.
    fn is_presenting(&self, body: &EventBody) -> bool {
        let EventBody::TextStreamed { call, .. } = body else { return false };
        let round = self.view.agent(call.round.agent).and_then(|agent| agent.round);
        round.is_some_and(|round| round.id == call.round && round.kind != RoundKind::Coordinate)
    }
}

impl<W: Write> Output for Plain<W> {
    fn event(&mut self, event: &Arc<Event>) -> Result<(), CliError> {
        self.show(event).map_err(CliError::output)
    }

    fn tick(&mut self, now: Millis) -> Result<(), CliError> {
        let Some(columns) = self.look.terminal else { return Ok(()) };
        if approvals::is_asking() {
            // The cursor stands behind a question; a line drawn over it could not be answered.
            return Ok(());
        }
        self.clear_status().map_err(CliError::output)?;
        if let Some(text) = status_line(&self.view, now) {
            let text = self.look.paint(Tone::Dim, &one_line(&text, columns - 2));
            write!(self.out, "{text}").map_err(CliError::output)?;
            self.is_status_drawn = true;
        }
        self.out.flush().map_err(CliError::output)
    }

    fn end(&mut self, ending: &Ending) -> Result<(), CliError> {
        self.clear_status().map_err(CliError::output)?;
        if let Some(answer) = &ending.answer {
            writeln!(self.out).and_then(|()| self.out.flush()).map_err(CliError::output)?;
            print_answer(answer)?;
            writeln!(self.out).map_err(CliError::output)?;
        }
        let took = totals(ending.elapsed_ms, &ending.spent);
        self.line(None, Tone::Dim, &took).map_err(CliError::output)?;
        if let Some(text) = ending.way_on() {
            self.line(None, Tone::Plain, &text).map_err(CliError::output)?;
        }
        if let Some(text) = ending.loss() {
            self.line(None, Tone::Warning, text).map_err(CliError::output)?;
        }
        self.out.flush().map_err(CliError::output)
    }
}

/// Returns the agent whose text ends with this event.
fn ends_text_of(body: &EventBody) -> Option<AgentIndex> {
    match body {
        EventBody::CallFinished { call, .. }
        | EventBody::CallFailed { call, .. }
        | EventBody::CallCancelled { call, .. }
        | EventBody::CallRetried { call, .. } => Some(call.round.agent),
        EventBody::RoundClosed { round, .. } => Some(round.agent),
        _ => None,
    }
}

fn tone_of_text(channel: TextChannel) -> Tone {
    match channel {
        TextChannel::Text => Tone::Plain,
        TextChannel::Reasoning => Tone::Dim,
    }
}

fn tone_of_row(row: &Row) -> Tone {
    match row.kind {
        RowKind::Answer | RowKind::Vote => Tone::Good,
        RowKind::Refused | RowKind::Failure | RowKind::Limit => Tone::Warning,
        RowKind::Winner => Tone::Bold,
        RowKind::Round | RowKind::Void | RowKind::Update => Tone::Dim,
        RowKind::Final | RowKind::Team => Tone::Plain,
    }
}

/// Nothing but the answer, and on stderr why there is none.
pub struct Quiet;

impl Output for Quiet {
    fn event(&mut self, _event: &Arc<Event>) -> Result<(), CliError> {
        Ok(())
    }

    fn end(&mut self, ending: &Ending) -> Result<(), CliError> {
        match (&ending.answer, &ending.outcome) {
            (Some(answer), _) => print_answer(answer)?,
            (None, Some(Outcome::Failed { reason })) => {
                tell(&format!("error: no answer: {}", words::fail_reason(*reason)));
            }
            (None, Some(Outcome::Answered { .. }) | None) => {}
        }
        if let Some(way_on) = ending.way_on() {
            tell(&format!("stopped before an answer; {way_on}"));
        }
        if let Some(loss) = ending.loss() {
            tell(loss);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
