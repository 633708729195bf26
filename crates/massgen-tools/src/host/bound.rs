//! The bounds that hold for every result, whoever gave it.

use massgen_protocol::{MediaSource, ToolOutput};

/// Text of one result. Sources keep well below it; this holds where one does not.
pub const OUTPUT_BYTES_MAX: usize = 256 * 1024;

/// Pictures of one result.
const MEDIA_MAX: usize = 8;

/// Base64 of all pictures of one result.
const MEDIA_BYTES_MAX: usize = 16 * 1024 * 1024;

pub(super) fn bound(mut output: ToolOutput) -> ToolOutput {
    if output.text.len() > OUTPUT_BYTES_MAX {
        let half = OUTPUT_BYTES_MAX / 2;
        let head = output.text.floor_char_boundary(half);
        let tail = output.text.ceil_char_boundary(output.text.len() - half);
        let left_out = tail - head;
        output.text = format!(
            "{}\n[… {left_out} bytes left out …]\n{}",
            &output.text[..head],
            &output.text[tail..]
        );
    }
    let before = output.media.len();
    output.media.truncate(MEDIA_MAX);
    let mut bytes = 0;
    output.media.retain(|media| {
        bytes += match &media.source {
            MediaSource::Inline { base64 } => base64.len(),
            MediaSource::File { .. } | MediaSource::Url { .. } => 0,
        };
        bytes <= MEDIA_BYTES_MAX
    });
    let left_out = before - output.media.len();
    if left_out > 0 {
        output.text.push_str(&format!("\n[{left_out} files are too large or too many to show]"));
    }
    output
}

#[cfg(test)]
mod tests {
    use massgen_protocol::{Media, MediaKind};

    use super::*;

    #[test]
    fn a_result_keeps_both_ends_and_says_what_is_missing() {
        let output = bound(ToolOutput::text("é".repeat(OUTPUT_BYTES_MAX)));
        assert!(output.text.len() < OUTPUT_BYTES_MAX + 100);
        assert!(output.text.contains("262144 bytes left out"), "{}", &output.text[..60]);
        let picture = |len: usize| Media {
            kind: MediaKind::Image,
            media_type: "image/png".to_owned(),
            name: None,
            source: MediaSource::Inline { base64: "A".repeat(len) },
        };
        let media = vec![picture(10), picture(MEDIA_BYTES_MAX), picture(10)];
        let output = bound(ToolOutput { media, ..ToolOutput::text("three") });
        assert_eq!(output.media.len(), 1);
        assert!(output.text.ends_with("[2 files are too large or too many to show]"));
    }
}
