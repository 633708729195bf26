//! What tools are called towards models.

use std::collections::BTreeMap;

/// What every provider takes for a name.
const NAME_MAX: usize = 64;

/// A server's tool, as the two call it themselves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Origin {
    pub server: String,
    pub tool: String,
}

/// Returns `mcp__<server>__` with which all names of a server's tools begin, unless it is too
/// long to.
pub(super) fn prefix(server: &str) -> String {
    format!("mcp__{}__", plain(server))
}

/// Names tools `mcp__<server>__<tool>`, in characters that all providers take.
///
/// Where two come out the same, the one that is called so itself keeps the name, and the others
/// get a mark made of their own. So a name does not depend on what else there is to name, except
/// that it may be taken.
pub(super) fn named(origins: &[Origin]) -> BTreeMap<String, Origin> {
    let mut wanted: BTreeMap<String, Vec<&Origin>> = BTreeMap::new();
    for origin in origins {
        let full = format!("mcp__{}__{}", origin.server, origin.tool);
        let name = if full.len() <= NAME_MAX { plain(&full) } else { marked(&full) };
        let all = wanted.entry(name).or_default();
        if !all.contains(&origin) {
            all.push(origin);
        }
    }
    let mut named = BTreeMap::new();
    for (name, mut all) in wanted {
        all.sort();
        let keeps = all
            .iter()
            .position(|origin| name == format!("mcp__{}__{}", origin.server, origin.tool))
            .or((all.len() == 1).then_some(0));
        for (at, origin) in all.into_iter().enumerate() {
            let name = if keeps == Some(at) {
                name.clone()
            } else {
                marked(&format!("mcp__{}__{}", origin.server, origin.tool))
            };
            named.insert(name, origin.clone());
        }
    }
    named
}

fn plain(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    text.chars().map(|c| if fits(c) { c } else { '_' }).collect()
}

/// Shortens a name so that a mark fits, by which it differs from others with the same beginning.
fn marked(full: &str) -> String {
    // FNV-1a: the mark has to be the same in every build and on every machine.
    let hash = full.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut name: String = plain(full).chars().take(NAME_MAX - 9).collect();
    name.push_str(&format!("_{:08x}", hash >> 32));
    name
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn names(tools: &[(&str, &str)]) -> Vec<(String, String)> {
        let origins: Vec<Origin> = tools
            .iter()
            .map(|&(server, tool)| Origin { server: server.to_owned(), tool: tool.to_owned() })
            .collect();
        named(&origins).into_iter().map(|(name, origin)| (name, origin.tool)).collect()
    }

    #[test]
    fn names_are_plain_sorted_and_short() {
        let named = names(&[("time", "now"), ("time", "a.b/c é"), ("time", &"x".repeat(200))]);
        let of = |tool: &str| &named.iter().find(|(_, other)| other == tool).unwrap().0;
        assert_eq!(of("now"), "mcp__time__now");
        assert_eq!(of("a.b/c é"), "mcp__time__a_b_c__");
        assert_eq!(of(&"x".repeat(200)).len(), 64);
        assert!(named.is_sorted());
        for (name, _) in &named {
            assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
        }
    }

    #[test]
    fn equal_names_are_told_apart_whatever_their_order() {
        let one = names(&[("s", "a b"), ("s", "a_b"), ("s", "a.b")]);
        let other = names(&[("s", "a.b"), ("s", "a_b"), ("s", "a b")]);
        assert_eq!(one, other);
        assert_eq!(one.len(), 3);
        assert!(one.contains(&("mcp__s__a_b".to_owned(), "a_b".to_owned())), "{one:?}");
    }

    #[test]
    fn two_servers_cannot_hide_behind_one_name() {
        let named = names(&[("a", "b__c"), ("a__b", "c")]);
        assert_eq!(named.len(), 2, "{named:?}");
    }

    #[test]
    fn long_names_with_one_beginning_stay_apart() {
        let (one, other) = ("y".repeat(80), format!("{}z", "y".repeat(80)));
        assert_eq!(names(&[("s", &one), ("s", &other)]).len(), 2);
    }
}
