//! `permissions`: who decides about a call.

use massgen_protocol::{
    Approval, ApprovalBy, AskDefault, PERMISSION_ROLES, PermissionRule, PermissionSpec, RuleAction,
    RuleFault,
};

use crate::known::{PERMISSION_RULES, PERMISSIONS};
use crate::node::Kind;
use crate::problem::{Place, shown};
use crate::reader::{Least, Reader};
use crate::scalar::boolean;
use crate::section::{Field, Section};
use crate::suggest::nearest;

/// Most rules of one kind.
const RULES_MAX: usize = 500;
/// Where questions are written if they are asked by file.
const APPROVAL_DIR: &str = ".massgen/approvals";

const DEFAULTS: &[(&str, AskDefault)] = &[
    ("risk-based", AskDefault::RiskBased),
    ("deny-all", AskDefault::DenyAll),
    ("allow-all", AskDefault::AllowAll),
];
const MODES: &[(&str, ApprovalBy)] =
    &[("user", ApprovalBy::User), ("policy", ApprovalBy::Policy), ("file", ApprovalBy::File)];

/// How questions of an agent are answered, and where that is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApprovalWish {
    pub approval: Approval,
    pub at: Place,
    pub path: String,
}

/// Reads the rules, and how what they ask is answered.
pub(super) fn permissions(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
) -> (Option<PermissionSpec>, Option<ApprovalWish>) {
    let Some(field) = section.given("permissions") else { return (None, None) };
    if let Kind::Scalar { text, .. } = &field.node.kind
        && let Some(is_on) = boolean(text.trim())
    {
        return (is_on.then(PermissionSpec::default), None);
    }
    let (at, path) = (field.key_at, field.path.clone());
    let Some(mut section) = Section::open(reader, field.node, field.path, &PERMISSIONS) else {
        return (None, None);
    };
    let (r, s) = (reader, &mut section);
    let is_on = r.flag(s.given("enabled")).unwrap_or(true);
    let mut spec = PermissionSpec { role: role(r, s.given("role")), ..PermissionSpec::default() };
    if let Some(mut lists) = s.section(r, "rules", &PERMISSION_RULES) {
        spec.deny = rules(r, lists.given("deny"));
        spec.allow = rules(r, lists.given("allow"));
        spec.ask = rules(r, lists.given("ask"));
        lists.finish(r);
    }
    let otherwise = r.choice(s.given("automation_default"), DEFAULTS);
    let by = r.choice(s.given("approval_mode"), MODES);
    let dir = s.given("approval_dir").and_then(|field| r.path(field, "the path of a folder"));
    let wait_ms = r.seconds(s.given("approval_timeout_seconds"), Least::OneMilli);
    audit(r, s);
    section.finish(r);
    if !is_on {
        return (None, None);
    }
    let says = otherwise.is_some() || by.is_some() || dir.is_some() || wait_ms.is_some();
    let by = by.unwrap_or_default();
    let dir = dir.or_else(|| (by == ApprovalBy::File).then(|| APPROVAL_DIR.to_owned()));
    let approval = Approval { by, otherwise: otherwise.unwrap_or_default(), wait_ms, dir };
    (Some(spec), says.then_some(ApprovalWish { approval, at, path }))
}

/// Every decision is in the run's log already.
fn audit(r: &mut Reader<'_>, s: &mut Section<'_>) {
    let field = s.given("audit");
    let at = field.as_ref().map(|field| (field.key_at, field.path.clone()));
    if let (Some(false), Some((at, path))) = (r.flag(field), at) {
        let message = "`audit: false` has no effect: every decision is in the run's log";
        r.report.notice_once(at, &path, message.to_owned());
    }
}

fn role(r: &mut Reader<'_>, field: Option<Field<'_>>) -> Option<String> {
    let (at, path) = field.as_ref().map(|field| (field.node.at, field.path.clone()))?;
    let role = r.text(field)?.trim().to_ascii_lowercase().replace('_', "-");
    if PERMISSION_ROLES.contains(&role.as_str()) {
        return Some(role);
    }
    let near = nearest(&role, PERMISSION_ROLES).map(|near| format!("did you mean `{near}`?"));
    let hint = near.unwrap_or_else(|| format!("the roles are {}", quoted(&PERMISSION_ROLES)));
    r.error(at, &path, format!("there is no role `{}`", shown(&role)), Some(hint));
    None
}

fn rules(r: &mut Reader<'_>, field: Option<Field<'_>>) -> Vec<String> {
    let Some(field) = field else { return Vec::new() };
    let nodes = match &field.node.kind {
        Kind::Scalar { .. } => std::slice::from_ref(field.node),
        Kind::List(items) => items.as_slice(),
        Kind::Map(_) => {
            r.mismatch(&field, "a list of rules");
            return Vec::new();
        }
    };
    if nodes.len() > RULES_MAX {
        let message = format!("{} rules, at most {RULES_MAX} are taken", nodes.len());
        r.error(field.key_at, &field.path, message, None);
        return Vec::new();
    }
    let mut rules = Vec::new();
    for (n, node) in nodes.iter().enumerate() {
        let path = format!("{}[{n}]", field.path);
        let Some(text) = r.text(Some(Field { node, key_at: field.key_at, path: path.clone() }))
        else {
            continue;
        };
        match text.parse::<PermissionRule>() {
            Ok(rule) => rules.push(rule.to_string()),
            Err(fault) => {
                let hint = hint(&fault);
                r.error(node.at, &path, shown(&fault.to_string()), Some(hint));
            }
        }
    }
    rules
}

fn hint(fault: &RuleFault) -> String {
    let actions = RuleAction::ALL.map(RuleAction::name);
    if let RuleFault::Action(name) = fault {
        return match nearest(name, actions) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the actions are {}", quoted(&actions)),
        };
    }
    "for example `command(git push*)`".to_owned()
}

fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
