//! From what the model wrote to arguments.

use massgen_protocol::Arguments;
use serde_json::{Map, Value};

/// Of broken arguments, shown back to the model.
const SHOWN_CHARS: usize = 200;

/// Returns the arguments, or what is wrong with them, in words for the model.
pub(super) fn read(arguments: &Arguments) -> Result<Map<String, Value>, String> {
    match arguments {
        Arguments::Object { value } => Ok(value.clone()),
        Arguments::Malformed { raw, .. } => {
            let begin: String = raw.chars().take(SHOWN_CHARS).collect();
            Err(format!("the arguments are no JSON object; nothing was done. They begin: {begin}"))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn broken_arguments_are_never_taken_for_none() {
        let raw = format!("{{\"path\": \"{}", "ä".repeat(1_000));
        let error = "it is cut short".to_owned();
        let told = read(&Arguments::Malformed { raw, error }).unwrap_err();
        assert!(told.contains("{\"path\"") && told.chars().count() < 300, "{told}");
    }
}
