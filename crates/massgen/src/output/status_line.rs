//! What goes on while nobody says anything, for the last line of a terminal.

use massgen_protocol::Millis;
use massgen_view::{AgentStatus, AgentView, RunView, words};

/// Silence after which an agent is worth mentioning.
const SILENT_MS: u64 = 2_000;

/// Agents named; the others are counted.
const AGENTS_MAX: usize = 3;

/// Returns the line, or `None` while everybody is heard or nobody is busy.
pub fn status_line(view: &RunView, now: Millis) -> Option<String> {
    let silent: Vec<String> =
        view.agents.iter().filter_map(|agent| silent_agent(agent, now)).collect();
    let mut line = silent.get(..silent.len().min(AGENTS_MAX))?.join(" · ");
    if silent.len() > AGENTS_MAX {
        line.push_str(&format!(" · {} more", silent.len() - AGENTS_MAX));
    }
    (!line.is_empty()).then_some(line)
}

fn silent_agent(agent: &AgentView, now: Millis) -> Option<String> {
    let silence_ms = now.0.saturating_sub(agent.active_at.0);
    if silence_ms < SILENT_MS {
        return None;
    }
    let doing = match &agent.status {
        AgentStatus::Thinking => "thinking".to_owned(),
        AgentStatus::Streaming => "writing".to_owned(),
        AgentStatus::UsingTool { name } => format!("runs {name}"),
        AgentStatus::BackingOff { until } => {
            let pause = words::duration(until.0.saturating_sub(now.0));
            return Some(format!("{} tries again in {pause}", agent.card.alias.alias()));
        }
        AgentStatus::Waiting
        | AgentStatus::Answered { .. }
        | AgentStatus::Voted { .. }
        | AgentStatus::Retired { .. } => return None,
    };
    Some(format!("{} {doing} {} s", agent.card.alias.alias(), silence_ms / 1_000))
}

#[cfg(test)]
mod tests {
    use massgen_protocol::{
        AgentCard, AgentId, AgentIndex, CallId, Event, EventBody, RoundId, RunId, Spend,
        TextChannel,
    };

    use super::*;

    fn call(agent: u16) -> CallId {
        CallId { round: RoundId { agent: AgentIndex(agent), n: 1 }, n: 1 }
    }

    #[test]
    fn only_who_is_silent_is_named_and_not_too_many() {
        let mut view = RunView::default();
        let mut seq = 0;
        let mut apply = |view: &mut RunView, ms: u64, body: EventBody| {
            view.apply(&Event { seq, at: Millis(ms), body });
            seq += 1;
        };
        let card = |n: u16| AgentCard {
            id: AgentId(format!("a{n}")),
            alias: AgentIndex(n),
            model: String::new(),
            backend: String::new(),
        };
        let agents = (0..5).map(card).collect();
        let run = RunId("r".to_owned());
        apply(&mut view, 0, EventBody::RunStarted { run, build: String::new(), agents });
        assert_eq!(status_line(&view, Millis(9_000)), None, "nobody is busy");
        for agent in 0..5 {
            apply(&mut view, 0, EventBody::CallGranted { call: call(agent) });
        }
        assert_eq!(status_line(&view, Millis(1_999)), None);
        assert_eq!(
            status_line(&view, Millis(14_000)).as_deref(),
            Some("agent1 thinking 14 s · agent2 thinking 14 s · agent3 thinking 14 s · 2 more")
        );
        let (channel, text) = (TextChannel::Text, "so".to_owned());
        apply(&mut view, 13_000, EventBody::TextStreamed { call: call(0), channel, text });
        for agent in 1..5 {
            let spend = Spend::default();
            apply(&mut view, 13_000, EventBody::CallCancelled { call: call(agent), spend });
        }
        assert_eq!(status_line(&view, Millis(14_000)), None);
        assert_eq!(status_line(&view, Millis(16_000)).as_deref(), Some("agent1 writing 3 s"));
    }
}
