//! `voting_sensitivity`, with the values that later versions of MassGen added.

use massgen_protocol::VotingSensitivity;

use crate::reader::Reader;
use crate::section::Field;

const CHOICES: &[(&str, VotingSensitivity)] = &[
    ("lenient", VotingSensitivity::Lenient),
    ("balanced", VotingSensitivity::Balanced),
    ("strict", VotingSensitivity::Strict),
];

/// Evaluation protocols that are not in this version, and what comes closest: those
/// that make agents hunt for gaps are strict, those that weigh effort are balanced.
const NEAREST: &[(&str, VotingSensitivity)] = &[
    ("roi", VotingSensitivity::Balanced),
    ("roi_conservative", VotingSensitivity::Balanced),
    ("roi_balanced", VotingSensitivity::Balanced),
    ("roi_aggressive", VotingSensitivity::Balanced),
    ("sequential", VotingSensitivity::Balanced),
    ("consistency", VotingSensitivity::Balanced),
    ("diversity", VotingSensitivity::Balanced),
    ("adversarial", VotingSensitivity::Strict),
    ("reflective", VotingSensitivity::Strict),
    ("checklist", VotingSensitivity::Strict),
    ("checklist_scored", VotingSensitivity::Strict),
    ("checklist_gated", VotingSensitivity::Strict),
];

pub(crate) fn sensitivity(
    reader: &mut Reader<'_>,
    field: Option<Field<'_>>,
) -> Option<VotingSensitivity> {
    let field = field?;
    let written = field.written().to_ascii_lowercase();
    let Some(&(name, near)) = NEAREST.iter().find(|(name, _)| *name == written) else {
        return reader.choice(Some(field), CHOICES);
    };
    let taken = CHOICES.iter().find(|(_, choice)| *choice == near).map_or("", |(name, _)| name);
    let message = format!("`{name}` is not in this version: `{taken}` is taken");
    reader.report.notice(field.node.at, &field.path, message, None);
    Some(near)
}
