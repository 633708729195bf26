//! What a type of backend offers, whatever the model.

/// What the API of a type takes. Whether one model does is the model's matter:
/// see [`ModelFacts`](super::ModelFacts).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Searches the web at the provider.
    pub web_search: bool,
    /// Runs code at the provider.
    pub code_execution: bool,
    /// Searches posts at the provider.
    pub x_search: bool,
    /// Takes images as input.
    pub images: bool,
    /// Takes documents as input.
    pub files: bool,
    /// How much the model thinks can be asked for.
    pub reasoning: bool,
    /// It is an agent: it brings files, a shell and the like of its own.
    pub own_tools: bool,
}

impl Capabilities {
    pub const NONE: Capabilities = Capabilities {
        web_search: false,
        code_execution: false,
        x_search: false,
        images: false,
        files: false,
        reasoning: false,
        own_tools: false,
    };

    /// A server with Chat Completions, which hosts no tools.
    pub const CHAT: Capabilities =
        Capabilities { images: true, reasoning: true, ..Capabilities::NONE };

    /// A program that is an agent.
    pub const AGENT: Capabilities =
        Capabilities { images: true, own_tools: true, ..Capabilities::NONE };

    /// Returns each by its name in reference pages and listings.
    pub fn named(self) -> [(&'static str, bool); 7] {
        let Capabilities { web_search, code_execution, x_search, images, files, .. } = self;
        [
            ("web_search", web_search),
            ("code_execution", code_execution),
            ("x_search", x_search),
            ("images", images),
            ("files", files),
            ("reasoning", self.reasoning),
            ("own_tools", self.own_tools),
        ]
    }
}
