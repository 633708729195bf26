//! Names of tools as the provider is told them.

use std::borrow::Cow;

use massgen_protocol::HostedTools;

/// Put behind a name that is the provider's own.
const SUFFIX: &str = "_tool";

/// Names that stand for a tool of the provider's, which a function may not have.
#[derive(Clone, Debug)]
pub(super) struct Names(Vec<&'static str>);

impl Names {
    pub(super) fn new(hosted: HostedTools) -> Names {
        // Models have seen this one as their own, and write it without JSON.
        let mut reserved = vec!["python"];
        if hosted.web_search {
            reserved.push("web_search");
        }
        if hosted.code_execution {
            reserved.extend(["code_interpreter", "code_execution"]);
        }
        if hosted.x_search {
            reserved.push("x_search");
        }
        Names(reserved)
    }

    /// Returns the name to send.
    pub(super) fn outgoing<'a>(&self, name: &'a str) -> Cow<'a, str> {
        if self.0.contains(&name) { Cow::Owned(format!("{name}{SUFFIX}")) } else { name.into() }
    }

    /// Returns the name a tool really has.
    pub(super) fn incoming<'a>(&self, name: &'a str) -> &'a str {
        name.strip_suffix(SUFFIX).filter(|plain| self.0.contains(plain)).unwrap_or(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_name_is_told_apart_and_comes_back() {
        let search = HostedTools { web_search: true, ..HostedTools::default() };
        let names = Names::new(search);
        for (name, sent) in
            [("python", "python_tool"), ("web_search", "web_search_tool"), ("vote", "vote")]
        {
            assert_eq!(names.outgoing(name), sent);
            assert_eq!(names.incoming(sent), name);
        }
        assert_eq!(names.incoming("my_tool"), "my_tool");
        assert_eq!(Names::new(HostedTools::default()).outgoing("web_search"), "web_search");
    }
}
