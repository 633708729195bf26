//! Images and documents as blocks of a user's message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use massgen_protocol::{Media, MediaKind, MediaSource};
use serde_json::{Value, json};

const IMAGE_TYPES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];
const PDF: &str = "application/pdf";
/// Types that are text though their name does not begin with `text/`.
const TEXT_TYPES: [&str; 5] = [
    "application/json",
    "application/xml",
    "application/yaml",
    "application/x-yaml",
    "application/toml",
];

/// Returns the block of an attachment; what the model cannot take becomes a text that
/// says so, so that it does not answer as if it had seen it.
pub(super) fn block(media: &Media) -> Value {
    let media_type = media.media_type.to_ascii_lowercase();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    let is_image = IMAGE_TYPES.contains(&media_type) && media.kind == MediaKind::Image;
    let taken = match &media.source {
        MediaSource::Url { url } if is_image => {
            Some(json!({"type": "image", "source": {"type": "url", "url": url}}))
        }
        MediaSource::Url { url } if media_type == PDF => {
            Some(document(media, json!({"type": "url", "url": url})))
        }
        MediaSource::Inline { base64 } if is_image => Some(json!({"type": "image", "source": {
            "type": "base64", "media_type": media_type, "data": base64,
        }})),
        MediaSource::Inline { base64 } if media_type == PDF => {
            let source = json!({"type": "base64", "media_type": PDF, "data": base64});
            Some(document(media, source))
        }
        MediaSource::Inline { base64 }
            if media_type.starts_with("text/") || TEXT_TYPES.contains(&media_type) =>
        {
            text_of(base64).map(|text| {
                // The one type of text this format knows, whatever it really is.
                let source = json!({"type": "text", "media_type": "text/plain", "data": text});
                document(media, source)
            })
        }
        MediaSource::File { .. } | MediaSource::Url { .. } | MediaSource::Inline { .. } => None,
    };
    taken.unwrap_or_else(|| json!({"type": "text", "text": note(media)}))
}

fn document(media: &Media, source: Value) -> Value {
    let mut block = json!({"type": "document", "source": source});
    if let Some(name) = media.name.as_deref().filter(|name| !name.trim().is_empty()) {
        block["title"] = json!(name);
    }
    block
}

/// Returns the text, unless it is none or holds nothing, which this format refuses.
fn text_of(base64: &str) -> Option<String> {
    let bytes = STANDARD.decode(base64).ok()?;
    String::from_utf8(bytes).ok().filter(|text| !text.trim().is_empty())
}

fn note(media: &Media) -> String {
    let name = match (&media.name, &media.source) {
        (Some(name), _) => name.as_str(),
        (None, MediaSource::File { path }) => path.rsplit('/').next().unwrap_or_default(),
        (None, MediaSource::Url { url }) => url.as_str(),
        (None, MediaSource::Inline { .. }) => "without a name",
    };
    format!(
        "[The attachment `{name}` ({}) is not shown: this model cannot take it as input.]",
        media.media_type
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn media(kind: MediaKind, media_type: &str, source: MediaSource) -> Media {
        Media { kind, media_type: media_type.to_owned(), name: Some("a.x".to_owned()), source }
    }

    fn inline(base64: &str) -> MediaSource {
        MediaSource::Inline { base64: base64.to_owned() }
    }

    fn url(url: &str) -> MediaSource {
        MediaSource::Url { url: url.to_owned() }
    }

    #[test]
    fn images_and_documents_are_shown() {
        let check = |media: Media, expected: Value| assert_eq!(block(&media), expected);
        check(
            media(MediaKind::Image, "image/PNG", inline("aGk=")),
            json!({"type": "image", "source":
                {"type": "base64", "media_type": "image/png", "data": "aGk="}}),
        );
        check(
            media(MediaKind::Image, "image/webp", url("https://h/x.webp")),
            json!({"type": "image", "source": {"type": "url", "url": "https://h/x.webp"}}),
        );
        check(
            media(MediaKind::File, "application/pdf", inline("aGk=")),
            json!({"type": "document", "source":
                {"type": "base64", "media_type": "application/pdf", "data": "aGk="}, "title": "a.x"}),
        );
        check(
            media(MediaKind::File, "application/pdf", url("https://h/x.pdf")),
            json!({"type": "document", "source": {"type": "url", "url": "https://h/x.pdf"},
                "title": "a.x"}),
        );
        check(
            media(MediaKind::File, "text/csv; charset=utf-8", inline("aGk=")),
            json!({"type": "document", "source":
                {"type": "text", "media_type": "text/plain", "data": "hi"}, "title": "a.x"}),
        );
    }

    #[test]
    fn what_cannot_be_shown_is_named() {
        let check = |media: Media| {
            let block = block(&media);
            assert_eq!(block["type"], "text");
            let text = block["text"].as_str().unwrap();
            assert!(text.contains("`a.x`") && text.contains(&media.media_type), "{text}");
        };
        check(media(MediaKind::Audio, "audio/mpeg", inline("aGk=")));
        check(media(MediaKind::Image, "image/svg+xml", inline("aGk=")));
        check(media(MediaKind::File, "text/plain", url("https://h/x.txt")));
        // No base64, no text, nothing in it.
        check(media(MediaKind::File, "text/plain", inline("!")));
        check(media(MediaKind::File, "text/plain", inline("/w==")));
        check(media(MediaKind::File, "text/plain", inline("")));
        check(media(
            MediaKind::Image,
            "image/png",
            MediaSource::File { path: "/x.png".to_owned() },
        ));
    }
}
