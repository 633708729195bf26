//! Tools of ours: files, commands, plans, pictures, pages.
