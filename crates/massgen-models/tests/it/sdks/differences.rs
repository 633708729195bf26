//! Where an SDK and our decoder are meant to disagree, each with its reason.

use Difference::{Calls, OnlyTheyRead, OnlyWeRead, Text, Usage};

/// The first thing they disagree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The SDK raises an error, or does not know why the model stopped.
    OnlyWeRead,
    /// The SDK takes for a reply what we hold to be none.
    OnlyTheyRead,
    Calls,
    Text,
    Reasoning,
    Usage,
}

/// Every stream that is read differently; all others are read the same. Traps are numbered
/// as in `docs/providers.md`.
#[rustfmt::skip]
pub const DIFFERENCES: &[(&str, Difference, &str)] = &[
    ("anthropic-messages/leaked_call", Calls, "a call the model wrote as text is made"),
    ("anthropic-messages/no_block_start", OnlyWeRead, "a block that was not opened is opened by its first delta"),
    ("anthropic-messages/no_event_names", OnlyWeRead, "the type in the data suffices, where a proxy drops `event:` lines"),
    ("anthropic-messages/refusal_by_filter", OnlyWeRead, "an output filter is the model's refusal, not a broken call (trap 1)"),
    ("anthropic-messages/text_no_end_reason", OnlyWeRead, "`message_stop` is the end, even where nothing says why"),
    ("anthropic-messages/tool_cut", Calls, "arguments cut short are kept as they are, never as `{}` (trap 20)"),
    ("gemini-generate/call_namespaced", Calls, "`default_api` is taken off a name (trap 31)"),
    ("gemini-generate/call_without_name", Calls, "a call of nothing is told and left out"),
    ("gemini-generate/empty_reply", OnlyTheyRead, "nothing but thoughts is asked for again (trap 32)"),
    ("gemini-generate/finish_other", OnlyTheyRead, "`OTHER` is asked for again (trap 32)"),
    ("gemini-generate/malformed_call", OnlyTheyRead, "`MALFORMED_FUNCTION_CALL` is asked for again (trap 32)"),
    ("gemini-generate/prompt_blocked", OnlyWeRead, "a blocked prompt is a refusal, though there is no candidate"),
    ("gemini-generate/unexpected_call", OnlyTheyRead, "`UNEXPECTED_TOOL_CALL` is asked for again (trap 32)"),
    ("openai-chat/comments", OnlyWeRead, "an event without data says nothing (trap 4)"),
    ("openai-chat/error_finish", OnlyTheyRead, "`finish_reason: error` is a failure (trap 1)"),
    ("openai-chat/finish_null", OnlyWeRead, "`[DONE]` is an end, even where nothing says why (trap 5)"),
    ("openai-chat/leaked_function_tag", Calls, "a call the model wrote as text is made (trap 20)"),
    ("openai-chat/leaked_json", Calls, "a call the model wrote as text is made (trap 20)"),
    ("openai-chat/leaked_tag", Calls, "a call the model wrote as text is made (trap 20)"),
    ("openai-chat/lines_multi", OnlyWeRead, "an event's data may have many lines"),
    ("openai-chat/reasoning_content", Usage, "`prompt_cache_hit_tokens` is DeepSeek's word for cached tokens"),
    ("openai-chat/reasoning_parts", OnlyWeRead, "Mistral sends content as a list of parts (trap 21)"),
    ("openai-chat/reasoning_think_tags", Text, "what stands in `<think>` is no text (trap 21)"),
    ("openai-chat/tools_duplicated", Calls, "arguments that come twice count once (trap 20)"),
    ("openai-chat/tools_no_index", Calls, "calls without an index are told apart by their ids (trap 18)"),
    ("openai-chat/tools_object", OnlyWeRead, "arguments may be an object (trap 18)"),
    ("openai-chat/tools_one_index", Calls, "calls of one index are told apart by their ids (trap 18)"),
    ("openai-chat/tools_one_index_no_ids", Calls, "calls of one index are told apart by their names (trap 18)"),
    ("openai-chat/tools_prefixed", Calls, "a false start of the arguments is dropped (trap 20)"),
    ("openai-chat/tools_stray_quote", Calls, "a stray quote after the arguments is dropped (trap 20)"),
    ("openai-chat/unknown_frames", OnlyWeRead, "a frame of another shape is told and passed over"),
    ("openai-chat/usage_in_choice", Usage, "some servers put the usage into the choice"),
    ("openai-responses/broken_utf8", OnlyWeRead, "a broken character does not lose the reply"),
    ("openai-responses/failed_filter", OnlyWeRead, "an output filter is the model's refusal, not a broken call"),
    ("openai-responses/reserved_name", Calls, "a tool renamed on the way out gets its name back (trap 14)"),
    ("openai-responses/types_in_event_names", OnlyWeRead, "the `event:` line suffices, where the data has no type"),
    ("openai-responses/xai_search_as_function", Calls, "xAI's own search is no call of ours (trap 34)"),
];
