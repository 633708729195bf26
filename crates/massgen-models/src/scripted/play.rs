//! A reply → a stream of events, with its pauses and faults.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use massgen_protocol::{
    Arguments, AssistantTurn, CallFailure, FinishReason, Message, ModelCall, ModelEvent, Part,
    ToolCall, ToolCallId, ToolName, Usage,
};
use serde_json::{Map, Value, json};
use tokio::time::{Sleep, sleep};

use super::script::{Reply, Vote, What};
use crate::backend::{Beat, Beats};

/// What one synthetic token says.
const TOKEN: &str = "tok ";
/// Where a script gives no usage: about what providers count for English.
const BYTES_PER_TOKEN: u64 = 4;
/// Field of scripted reasoning, so that it is played back like that of others.
const REASONING_FIELD: &str = "reasoning_content";

enum Step {
    Event(ModelEvent),
    Tokens(u64),
    Pause(Duration),
    Fail(CallFailure),
    Stall,
}

struct Play {
    steps: VecDeque<Step>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Stream for Play {
    type Item = Result<Beat, CallFailure>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(pause) = &mut this.pause {
                if pause.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                this.pause = None;
            }
            match this.steps.front_mut() {
                None => return Poll::Ready(None),
                Some(Step::Stall) => return Poll::Pending,
                Some(Step::Tokens(left @ 1..)) => {
                    *left -= 1;
                    return Poll::Ready(Some(Ok(Beat::Event(ModelEvent::Text(TOKEN.to_owned())))));
                }
                Some(_) => {}
            }
            match this.steps.pop_front() {
                Some(Step::Event(event)) => return Poll::Ready(Some(Ok(Beat::Event(event)))),
                Some(Step::Fail(failure)) => {
                    this.steps.clear();
                    return Poll::Ready(Some(Err(failure)));
                }
                Some(Step::Pause(pause)) => this.pause = Some(Box::pin(sleep(pause))),
                Some(Step::Tokens(_) | Step::Stall) | None => {}
            }
        }
    }
}

/// Returns the reply as a backend streams it.
pub(super) fn play(reply: &Reply, chunk_ms: u64, call: &ModelCall) -> Beats {
    let calls = tool_calls(reply, call);
    let mut pieces = vec![ModelEvent::Started];
    if let Some(reasoning) = &reply.reasoning {
        pieces.extend(words(reasoning).map(|word| ModelEvent::Reasoning(word.to_owned())));
    }
    if let Some(text) = &reply.text {
        pieces.extend(words(text).map(|word| ModelEvent::Text(word.to_owned())));
    }
    for (index, call) in calls.iter().enumerate() {
        pieces.push(ModelEvent::ToolCallStarted { index, name: call.name.clone() });
        let arguments = argument_text(call);
        let deltas = words(&arguments).map(str::to_owned);
        pieces.extend(deltas.map(|delta| ModelEvent::ToolArguments { index, delta }));
    }
    let turn = turn(reply, calls, call);

    let chunk_ms = reply.chunk_ms.unwrap_or(chunk_ms);
    let mut steps = VecDeque::new();
    let pause = |steps: &mut VecDeque<Step>, ms| {
        if ms > 0 {
            steps.push_back(Step::Pause(Duration::from_millis(ms)));
        }
    };
    pause(&mut steps, reply.delay_ms);
    let said = reply.fault.as_ref().and_then(|fault| fault.after).unwrap_or(usize::MAX);
    let is_text_over = |event: &ModelEvent| matches!(event, ModelEvent::ToolCallStarted { .. });
    let mut tokens = Some(reply.tokens).filter(|&tokens| tokens > 0 && said == usize::MAX);
    for event in pieces.into_iter().take(said) {
        if is_text_over(&event)
            && let Some(tokens) = tokens.take()
        {
            steps.push_back(Step::Tokens(tokens));
        }
        if !matches!(event, ModelEvent::Started) {
            pause(&mut steps, chunk_ms);
        }
        steps.push_back(Step::Event(event));
    }
    if let Some(tokens) = tokens {
        steps.push_back(Step::Tokens(tokens));
    }
    steps.push_back(match &reply.fault {
        None => Step::Event(ModelEvent::Finished(Box::new(turn))),
        Some(fault) => match fault.what {
            What::Stall(true) => Step::Stall,
            What::Stall(false) => Step::Event(ModelEvent::Finished(Box::new(turn))),
            What::Fail(kind) => Step::Fail(CallFailure {
                kind,
                message: fault.message.clone().unwrap_or_else(|| "as the script says".to_owned()),
                status: None,
                retry_after_ms: fault.retry_after_ms,
            }),
        },
    });
    Box::pin(Play { steps, pause: None })
}

fn turn(reply: &Reply, calls: Vec<ToolCall>, call: &ModelCall) -> AssistantTurn {
    let mut parts = Vec::new();
    if let Some(text) = reply.reasoning.clone() {
        parts.push(Part::Reasoning { text, field: Some(REASONING_FIELD.to_owned()) });
    }
    let tokens = usize::try_from(reply.tokens).unwrap_or(usize::MAX);
    let text = reply.text.clone().unwrap_or_default() + &TOKEN.repeat(tokens);
    if !text.is_empty() {
        parts.push(Part::Text { text });
    }
    let finish = if calls.is_empty() { FinishReason::Stop } else { FinishReason::ToolCalls };
    let output: u64 = match reply.usage {
        Some(usage) => usage.output,
        None => {
            let texts: u64 = parts.iter().map(part_bytes).sum();
            let arguments: usize = calls.iter().map(|call| argument_text(call).len()).sum();
            (texts + arguments as u64).div_ceil(BYTES_PER_TOKEN)
        }
    };
    let input = match reply.usage {
        Some(usage) => usage.input,
        None => {
            let messages = call.messages.iter().map(|message| message_bytes(message));
            messages.sum::<u64>().div_ceil(BYTES_PER_TOKEN)
        }
    };
    parts.extend(calls.into_iter().map(Part::ToolCall));
    let usage = Usage { input_uncached: input, output, ..Usage::default() };
    AssistantTurn { parts, finish, usage, model: None }
}

fn tool_calls(reply: &Reply, call: &ModelCall) -> Vec<ToolCall> {
    let mut calls: Vec<(String, Map<String, Value>)> = Vec::new();
    for tool in &reply.tool_calls {
        calls.push((tool.name.clone(), tool.arguments.clone()));
    }
    if let Some(answer) = &reply.new_answer {
        calls.push(workflow(call, ToolName::NEW_ANSWER, "", answer));
    }
    match &reply.vote {
        Some(Vote::For(choice)) => {
            calls.push(workflow(call, ToolName::VOTE, choice, "It is right."));
        }
        Some(Vote::Reasoned { choice, reason }) => {
            calls.push(workflow(call, ToolName::VOTE, choice, reason));
        }
        None => {}
    }
    let turn =
        call.messages.iter().filter(|message| message.role == massgen_protocol::Role::Assistant);
    let turn = turn.count();
    let made = calls.into_iter().enumerate().map(|(n, (name, value))| ToolCall {
        id: ToolCallId(format!("call_{turn}_{n}")),
        name,
        arguments: Arguments::Object { value },
    });
    made.collect()
}

/// Fills a workflow tool's arguments by its schema, so that a script need not
/// know their names: what has options gets the choice, every other text the text.
fn workflow(
    call: &ModelCall,
    name: &str,
    choice: &str,
    text: &str,
) -> (String, Map<String, Value>) {
    let tool = call.tools.iter().find(|tool| tool.name == name);
    let properties = tool.and_then(|tool| tool.parameters["properties"].as_object());
    let mut arguments = Map::new();
    for (property, schema) in properties.into_iter().flatten() {
        let value = if schema.get("enum").is_some() { choice } else { text };
        arguments.insert(property.clone(), json!(value));
    }
    (name.to_owned(), arguments)
}

fn argument_text(call: &ToolCall) -> String {
    match &call.arguments {
        Arguments::Object { value } => Value::Object(value.clone()).to_string(),
        Arguments::Malformed { raw, .. } => raw.clone(),
    }
}

fn message_bytes(message: &Message) -> u64 {
    message.parts.iter().map(part_bytes).sum()
}

fn part_bytes(part: &Part) -> u64 {
    let bytes = match part {
        Part::Text { text } | Part::Reasoning { text, .. } => text.len(),
        Part::ToolResult(result) => result.text.len(),
        Part::ToolCall(call) => argument_text(call).len(),
        Part::Native { .. } | Part::Media(_) => 0,
    };
    bytes as u64
}

/// Returns the words of a text, each with the blanks behind it.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(char::is_whitespace)
}
