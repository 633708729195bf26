//! Images, sounds, films and documents as parts of a user's message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use massgen_protocol::{Media, MediaKind, MediaSource};
use serde_json::{Value, json};

/// Returns the part of an attachment. Whether its model takes it is for the server to say;
/// what the format has no word for becomes a text that says so, so that the model does
/// not answer as if it had seen it.
pub(super) fn part(media: &Media) -> Value {
    let taken = match media.kind {
        MediaKind::Image => {
            address(media).map(|url| json!({"type": "image_url", "image_url": {"url": url}}))
        }
        MediaKind::Video => {
            address(media).map(|url| json!({"type": "video_url", "video_url": {"url": url}}))
        }
        MediaKind::Audio => sound(media),
        MediaKind::File => {
            inline_text(media).map(|text| json!({"type": "text", "text": text})).or_else(|| {
                let name = media.name.as_deref().unwrap_or("file");
                let file =
                    |url| json!({"type": "file", "file": {"filename": name, "file_data": url}});
                address(media).map(file)
            })
        }
    };
    taken.unwrap_or_else(|| {
        let name = media.name.as_deref().unwrap_or("without a name");
        let text = format!(
            "[The attachment `{name}` ({}) is not shown: this API cannot take it.]",
            media.media_type
        );
        json!({"type": "text", "text": text})
    })
}

/// Returns where the server finds it: its address, or all of it as one.
fn address(media: &Media) -> Option<String> {
    match &media.source {
        MediaSource::Url { url } => Some(url.clone()),
        MediaSource::Inline { base64 } => {
            Some(format!("data:{};base64,{base64}", media.media_type))
        }
        MediaSource::File { .. } => None,
    }
}

/// The format knows two kinds of sound, and none by its address.
fn sound(media: &Media) -> Option<Value> {
    let format = match media.media_type.as_str() {
        "audio/mpeg" | "audio/mp3" => "mp3",
        "audio/wav" | "audio/x-wav" => "wav",
        _ => return None,
    };
    match &media.source {
        MediaSource::Inline { base64 } => {
            Some(json!({"type": "input_audio", "input_audio": {"data": base64, "format": format}}))
        }
        MediaSource::Url { .. } | MediaSource::File { .. } => None,
    }
}

/// Returns what a file says that is text: it is read as text by every model, as a file by few.
pub(in crate::provider) fn inline_text(media: &Media) -> Option<String> {
    let is_text = media.media_type.starts_with("text/") || media.media_type == "application/json";
    let MediaSource::Inline { base64 } = &media.source else { return None };
    let bytes = is_text.then(|| STANDARD.decode(base64).ok()).flatten()?;
    let text = String::from_utf8(bytes).ok()?;
    let name = media.name.as_deref().unwrap_or("file");
    Some(format!("The file `{name}`:\n\n{text}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn media(kind: MediaKind, media_type: &str, source: MediaSource) -> Media {
        Media { kind, media_type: media_type.to_owned(), name: Some("a.x".to_owned()), source }
    }

    #[test]
    fn every_kind_of_file_has_its_part() {
        let inline = || MediaSource::Inline { base64: "aGk=".to_owned() };
        let url = || MediaSource::Url { url: "https://h/a.x".to_owned() };
        let check = |kind, media_type: &str, source, expected: Value| {
            assert_eq!(part(&media(kind, media_type, source)), expected);
        };
        check(
            MediaKind::Image,
            "image/png",
            inline(),
            json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}),
        );
        check(
            MediaKind::Video,
            "video/mp4",
            url(),
            json!({"type": "video_url", "video_url": {"url": "https://h/a.x"}}),
        );
        check(
            MediaKind::Audio,
            "audio/mpeg",
            inline(),
            json!({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}}),
        );
        check(
            MediaKind::File,
            "application/pdf",
            inline(),
            json!({"type": "file", "file": {
                "filename": "a.x", "file_data": "data:application/pdf;base64,aGk=",
            }}),
        );
        check(
            MediaKind::File,
            "text/markdown",
            inline(),
            json!({"type": "text", "text": "The file `a.x`:\n\nhi"}),
        );
    }

    #[test]
    fn what_cannot_be_shown_is_said() {
        let unread = || MediaSource::File { path: "a.x".to_owned() };
        let broken = MediaSource::Inline { base64: "/w==".to_owned() };
        for (kind, media_type, source) in [
            (MediaKind::Audio, "audio/flac", MediaSource::Inline { base64: "aGk=".to_owned() }),
            (MediaKind::Audio, "audio/wav", MediaSource::Url { url: "https://h/a".to_owned() }),
            (MediaKind::Image, "image/png", unread()),
        ] {
            let part = part(&media(kind, media_type, source));
            assert!(part["text"].as_str().unwrap().contains("is not shown"), "{part}");
        }
        // No text after all: the server may make something of it.
        assert_eq!(part(&media(MediaKind::File, "text/plain", broken))["type"], "file");
    }
}
